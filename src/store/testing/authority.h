#pragma once

// Certificates for a test, made when it runs: an authority in a directory of its own.

#include <string>

#include "store/testing/etcd_process.h"

namespace fleet::store {

class Authority {
 public:
  Authority();
  // Makes NAME.pem and NAME.key. `extensions` as openssl-x509(1) takes them in a file.
  void Issue(const std::string& name, const std::string& extensions) const;
  // "ca.pem" is its own certificate.
  std::string File(const std::string& name) const;

 private:
  TempDir dir_;
};

}  // namespace fleet::store
