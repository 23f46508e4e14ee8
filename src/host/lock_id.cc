#include "host/lock_id.h"

#include <systemd/sd-id128.h>

namespace fleet::host {

namespace {

// Zincati's application id.
constexpr sd_id128_t kZincati =
    SD_ID128_MAKE(de, 35, 10, 6b, 6e, c2, 46, 88, b6, 3a, fd, da, a1, 56, 67, 9b);

std::string ToText(sd_id128_t id) {
  char text[SD_ID128_STRING_MAX];
  return sd_id128_to_string(id, text);
}

}  // namespace

std::string LockIdOf(const std::string& machine_id) {
  sd_id128_t own;
  sd_id128_t derived;
  if (sd_id128_get_machine(&own) < 0 || ToText(own) != machine_id) return "";
  if (sd_id128_get_machine_app_specific(kZincati, &derived) < 0) return "";
  return ToText(derived);
}

}  // namespace fleet::host
