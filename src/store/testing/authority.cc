#include "store/testing/authority.h"

#include <fstream>

namespace fleet::store {

Authority::Authority() {
  RunProgram({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
              "-nodes", "-days", "2", "-subj", "/CN=test authority", "-keyout", File("ca.key"),
              "-out", File("ca.pem")});
}

void Authority::Issue(const std::string& name, const std::string& extensions) const {
  std::ofstream(File(name + ".ext")) << extensions;
  RunProgram({"openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
              "-subj", "/CN=" + name, "-keyout", File(name + ".key"), "-out", File(name + ".csr")});
  RunProgram({"openssl", "x509", "-req", "-days", "2", "-in", File(name + ".csr"), "-CA",
              File("ca.pem"), "-CAkey", File("ca.key"), "-CAcreateserial", "-extfile",
              File(name + ".ext"), "-out", File(name + ".pem")});
}

std::string Authority::File(const std::string& name) const { return dir_.path() + "/" + name; }

}  // namespace fleet::store
