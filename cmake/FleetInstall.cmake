# cmake --install BUILD [--prefix DIR]: programs, manual pages, systemd's files, documents. The
# configuration is an example among the documents: fleetd needs none, and nobody's is overwritten.
include(GNUInstallDirs)

if(TARGET fleetd AND TARGET fleetctl)
  install(TARGETS fleetd fleetctl fleet-guard RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
# fleetctl starts it for --driver=etcd.
if(TARGET fleetctl-etcd)
  install(TARGETS fleetctl-etcd RUNTIME DESTINATION libexec/fleet)
endif()

install(FILES man/fleetctl.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES man/fleet.conf.5 man/fleet.unit.5 DESTINATION ${CMAKE_INSTALL_MANDIR}/man5)
install(FILES man/fleetd.8 man/fleet-guard.8 DESTINATION ${CMAKE_INSTALL_MANDIR}/man8)

# The services name their programs where they are installed, which --prefix may say only now.
install(CODE "
  foreach(unit fleet.service fleet-guard.service)
    file(READ \"${CMAKE_SOURCE_DIR}/packaging/\${unit}\" service)
    string(REPLACE \"ExecStart=/usr/bin/\"
      \"ExecStart=\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_BINDIR}/\" service \"\${service}\")
    file(WRITE \"${CMAKE_BINARY_DIR}/packaging/\${unit}\" \"\${service}\")
  endforeach()")
# Below lib in any case, not lib/x86_64-linux-gnu: systemd looks nowhere else.
install(FILES ${CMAKE_BINARY_DIR}/packaging/fleet.service packaging/fleet.socket
  ${CMAKE_BINARY_DIR}/packaging/fleet-guard.service
  DESTINATION lib/systemd/system)
install(FILES packaging/logind.conf.d/50-fleet.conf DESTINATION lib/systemd/logind.conf.d)
install(FILES packaging/fleet.sysusers.conf DESTINATION lib/sysusers.d RENAME fleet.conf)

install(FILES README.md packaging/fleet.conf DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs/ DESTINATION ${CMAKE_INSTALL_DOCDIR}/docs FILES_MATCHING PATTERN "*.md"
  PATTERN performance EXCLUDE)
install(DIRECTORY examples packaging/monitoring DESTINATION ${CMAKE_INSTALL_DOCDIR})
