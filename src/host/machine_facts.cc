#include "host/machine_facts.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <climits>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <sstream>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "fmt/core.h"
#include "host/posix_file.h"

namespace fleet::host {
namespace {

// Flags of a route (linux/route.h, linux/ipv6_route.h).
constexpr unsigned kRouteUp = 0x1;
constexpr unsigned kRouteReject = 0x200;

std::string Stripped(std::string text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0) {
    text.pop_back();
  }
  return text;
}

bool IsId(const std::string& id) {
  return id.size() == 32 && id.find_first_not_of("0123456789abcdef") == std::string::npos &&
         id.find_first_not_of('0') != std::string::npos;
}

absl::StatusOr<std::string> ReadMachineId(const std::string& root) {
  const std::string path = root + "/etc/machine-id";
  auto content = ReadWholeFile(path, 4096, Links::kFollow);
  if (!content.ok()) {
    return absl::Status(
        content.status().code(),
        fmt::format("this machine has no id: {}; systemd-machine-id-setup makes one",
                    std::string(content.status().message())));
  }
  std::string id = Stripped(*content);
  if (IsId(id)) return id;
  return absl::InvalidArgumentError(
      fmt::format("{} holds \"{}\", which is not 32 lower-case hex digits; "
                  "systemd-machine-id-setup makes an id",
                  path, id.substr(0, 64)));
}

absl::StatusOr<std::string> ReadBootId(const std::string& root) {
  const std::string path = root + "/proc/sys/kernel/random/boot_id";
  ASSIGN_OR_RETURN(const std::string content, ReadWholeFile(path, 4096, Links::kFollow));
  std::string id = Stripped(content);
  id.erase(std::remove(id.begin(), id.end(), '-'), id.end());
  if (IsId(id)) return id;
  return absl::InvalidArgumentError(fmt::format("{} holds \"{}\", which is no boot id", path, id));
}

absl::StatusOr<int64_t> ReadMemory(const std::string& root) {
  const std::string path = root + "/proc/meminfo";
  ASSIGN_OR_RETURN(const std::string content, ReadWholeFile(path, 1U << 20U, Links::kFollow));
  std::istringstream lines(content);
  std::string key;
  int64_t kibibytes = 0;
  while (lines >> key) {
    if (key == "MemTotal:" && lines >> kibibytes) return kibibytes * 1024;
    lines.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  return absl::InvalidArgumentError(path + " has no MemTotal");
}

// The processors that units may use: PID 1's, since fleetd may have been given fewer.
int64_t CountProcessors() {
  std::vector<cpu_set_t> sets(64);  // 65536 processors; too small a set is an error
  for (const pid_t pid : {1, 0}) {
    const size_t size = sets.size() * sizeof(cpu_set_t);
    if (sched_getaffinity(pid, size, sets.data()) == 0) return CPU_COUNT_S(size, sets.data());
  }
  return std::max<int64_t>(1, sysconf(_SC_NPROCESSORS_ONLN));
}

std::string Hostname() {
  std::array<char, HOST_NAME_MAX + 1> name{};
  return gethostname(name.data(), name.size()) == 0 ? std::string(name.data()) : "";
}

std::string AddressText(const sockaddr& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const void* bytes = nullptr;
  if (address.sa_family == AF_INET) {
    bytes = &reinterpret_cast<const sockaddr_in&>(address).sin_addr;
  } else {
    const in6_addr& in6 = reinterpret_cast<const sockaddr_in6&>(address).sin6_addr;
    if (IN6_IS_ADDR_LINKLOCAL(&in6)) return "";  // means nothing to another machine
    bytes = &in6;
  }
  const char* result = inet_ntop(address.sa_family, bytes, text.data(), text.size());
  return result == nullptr ? "" : result;
}

// The first address of the family on that interface, or on any but loopback if it is empty.
std::string FirstAddress(const ifaddrs* list, int family, const std::string& interface) {
  for (const ifaddrs* i = list; i != nullptr; i = i->ifa_next) {
    if (i->ifa_addr == nullptr || i->ifa_addr->sa_family != family) continue;
    if ((i->ifa_flags & IFF_UP) == 0 || (i->ifa_flags & IFF_LOOPBACK) != 0) continue;
    if (!interface.empty() && interface != i->ifa_name) continue;
    if (std::string text = AddressText(*i->ifa_addr); !text.empty()) return text;
  }
  return "";
}

std::string DefaultAddress(const std::string& root) {
  ifaddrs* raw = nullptr;
  if (getifaddrs(&raw) != 0) return "";
  const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> list(raw, &freeifaddrs);
  const std::string v4 = DefaultInterface(
      ReadWholeFile(root + "/proc/net/route", 1U << 20U, Links::kFollow).value_or(""));
  const std::string v6 = DefaultInterface6(
      ReadWholeFile(root + "/proc/net/ipv6_route", 1U << 20U, Links::kFollow).value_or(""));
  const std::pair<int, std::string> choices[] = {{AF_INET, v4}, {AF_INET6, v6}};
  for (const auto& [family, interface] : choices) {
    if (interface.empty()) continue;
    if (std::string text = FirstAddress(list.get(), family, interface); !text.empty()) return text;
  }
  for (const int family : {AF_INET, AF_INET6}) {
    if (std::string text = FirstAddress(list.get(), family, ""); !text.empty()) return text;
  }
  return "";
}

// The words of each line.
std::vector<std::vector<std::string>> Table(const std::string& text) {
  std::vector<std::vector<std::string>> rows;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::vector<std::string>& row = rows.emplace_back();
    for (std::string word; words >> word;) row.push_back(word);
  }
  return rows;
}

std::optional<unsigned> Number(const std::string& text, int base) {
  char* end = nullptr;
  const unsigned long value = std::strtoul(text.c_str(), &end, base);
  if (text.empty() || *end != '\0') return std::nullopt;
  return static_cast<unsigned>(value);
}

struct Route {
  std::string interface;
  std::optional<unsigned> flags;
  std::optional<unsigned> metric;
};

std::string Best(const std::vector<Route>& routes) {
  const Route* best = nullptr;
  for (const Route& route : routes) {
    if (!route.flags || !route.metric) continue;
    if ((*route.flags & kRouteUp) == 0 || (*route.flags & kRouteReject) != 0) continue;
    if (best == nullptr || *route.metric < *best->metric) best = &route;
  }
  return best == nullptr ? "" : best->interface;
}

}  // namespace

std::string DefaultInterface(const std::string& ipv4_routes) {
  // Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT; a head line.
  std::vector<Route> routes;
  for (const auto& row : Table(ipv4_routes)) {
    if (row.size() < 8 || row[1] != "00000000" || row[7] != "00000000") continue;
    routes.push_back({row[0], Number(row[3], 16), Number(row[6], 10)});
  }
  return Best(routes);
}

std::string DefaultInterface6(const std::string& ipv6_routes) {
  // destination length source length next-hop metric refcnt use flags iface
  std::vector<Route> routes;
  for (const auto& row : Table(ipv6_routes)) {
    if (row.size() < 10 || row[1] != "00" || row[0] != std::string(32, '0')) continue;
    if (row[9] == "lo") continue;
    routes.push_back({row[9], Number(row[8], 16), Number(row[5], 16)});
  }
  return Best(routes);
}

absl::StatusOr<MachineFacts> ReadMachineFactsBelow(const std::string& root) {
  MachineFacts facts;
  ASSIGN_OR_RETURN(facts.machine_id, ReadMachineId(root));
  ASSIGN_OR_RETURN(facts.boot_id, ReadBootId(root));
  ASSIGN_OR_RETURN(facts.memory_bytes, ReadMemory(root));
  facts.hostname = Hostname();
  facts.default_address = DefaultAddress(root);
  facts.milli_cores = CountProcessors() * 1000;
  return facts;
}

absl::StatusOr<MachineFacts> ReadMachineFacts() { return ReadMachineFactsBelow(""); }

}  // namespace fleet::host
