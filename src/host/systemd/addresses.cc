#include "host/systemd/addresses.h"

#include <unistd.h>

#include <cstdlib>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace fleet::host {
namespace {

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// As the D-Bus specification escapes values in addresses.
std::string UnixAddress(std::string_view path) {
  std::string address = "unix:path=";
  for (const char c : path) {
    if (absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
        std::string_view("-_/.\\*").find(c) != std::string_view::npos) {
      address += c;
    } else {
      absl::StrAppendFormat(&address, "%%%02x", static_cast<unsigned char>(c));
    }
  }
  return address;
}

std::string Either(const std::string& value, const std::string& otherwise) {
  return value.empty() ? otherwise : value;
}

}  // namespace

std::string UserRuntimeDirectory() {
  return Either(Variable("XDG_RUNTIME_DIR"), absl::StrCat("/run/user/", getuid()));
}

std::vector<BusAddress> ManagerAddresses(bool user, bool message_bus) {
  std::vector<BusAddress> addresses;
  if (user) {
    const std::string runtime = UserRuntimeDirectory();
    if (!message_bus) {
      addresses.push_back({UnixAddress(absl::StrCat(runtime, "/systemd/private")), false});
    }
    addresses.push_back(
        {Either(Variable("DBUS_SESSION_BUS_ADDRESS"), UnixAddress(absl::StrCat(runtime, "/bus"))),
         true});
    return addresses;
  }
  if (!message_bus && geteuid() == 0) {
    addresses.push_back({UnixAddress("/run/systemd/private"), false});
  }
  addresses.push_back(
      {Either(Variable("DBUS_SYSTEM_BUS_ADDRESS"), UnixAddress("/run/dbus/system_bus_socket")),
       true});
  return addresses;
}

}  // namespace fleet::host
