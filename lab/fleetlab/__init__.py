"""The lab: systemd-nspawn machines, an etcd and a bridge, by one name. See lab/README.md."""
