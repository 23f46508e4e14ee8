"""Faults on real machines, and a judge that believes systemd alone (lab/README.md, "Chaos")."""
