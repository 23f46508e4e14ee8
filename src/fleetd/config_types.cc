#include "fleetd/config_types.h"

#include <arpa/inet.h>

#include <algorithm>
#include <initializer_list>
#include <limits>
#include <map>
#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/amount.h"
#include "base/duration.h"
#include "base/status.h"
#include "fleetd/config_syntax.h"
#include "fmt/core.h"

namespace fleet::fleetd {
namespace {

absl::Status Refuse(absl::string_view text, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" ", why));
}

// A type whose values are one text each; `parse` gets it without its quotes.
template <typename T>
Type<T> OneText(std::string name, std::function<absl::StatusOr<T>(const std::string&)> parse,
                std::function<std::string(const T&)> format) {
  return {std::move(name),
          [parse = std::move(parse)](absl::string_view value) -> absl::StatusOr<T> {
            ASSIGN_OR_RETURN(const std::string text, Unquote(value));
            return parse(text);
          },
          std::move(format)};
}

template <typename Enum>
Type<Enum> OneOf(std::initializer_list<std::pair<const std::string, Enum>> list) {
  const std::map<std::string, Enum> choices = list;
  const std::string names = absl::StrJoin(
      choices, " or ", [](std::string* out, const auto& choice) { *out += choice.first; });
  return OneText<Enum>(
      names,
      [choices, names](const std::string& text) -> absl::StatusOr<Enum> {
        const auto it = choices.find(text);
        if (it == choices.end()) return Refuse(text, absl::StrCat("is not ", names));
        return it->second;
      },
      [choices](const Enum& value) {
        for (const auto& [name, choice] : choices) {
          if (choice == value) return name;
        }
        return std::string();
      });
}

bool IsAddress(const std::string& text) {
  in6_addr address;  // large enough for either family
  return inet_pton(AF_INET, text.c_str(), &address) == 1 ||
         inet_pton(AF_INET6, text.c_str(), &address) == 1;
}

struct HostPort {
  std::string host;  // no brackets
  std::optional<uint16_t> port;
};

// "host:port", "host", "[v6]:port", "[v6]"; nullopt for anything else, a port of 0 included.
std::optional<HostPort> SplitHostPort(absl::string_view text) {
  HostPort out;
  absl::string_view rest;
  if (absl::ConsumePrefix(&text, "[")) {
    const size_t close = text.find(']');
    if (close == absl::string_view::npos) return std::nullopt;
    out.host = std::string(text.substr(0, close));
    rest = text.substr(close + 1);
  } else {
    const size_t colon = text.find(':');
    out.host = std::string(text.substr(0, colon));
    if (colon != absl::string_view::npos) rest = text.substr(colon);
  }
  if (rest.empty()) return out;
  uint32_t port = 0;
  if (!absl::ConsumePrefix(&rest, ":") || !absl::SimpleAtoi(rest, &port) || port < 1 ||
      port > std::numeric_limits<uint16_t>::max()) {
    return std::nullopt;
  }
  out.port = static_cast<uint16_t>(port);
  return out;
}

// Parses a list element by element.
template <typename T>
Type<std::vector<T>> ListOf(std::string name,
                            std::function<absl::StatusOr<T>(const std::string&)> parse,
                            std::function<std::string(const T&)> format) {
  return {std::move(name),
          [parse = std::move(parse)](absl::string_view value) -> absl::StatusOr<std::vector<T>> {
            ASSIGN_OR_RETURN(const std::vector<std::string> elements, UnquoteList(value));
            std::vector<T> out;
            for (const std::string& element : elements) {
              ASSIGN_OR_RETURN(T parsed, parse(element));
              out.push_back(std::move(parsed));
            }
            return out;
          },
          [format = std::move(format)](const std::vector<T>& values) {
            std::vector<std::string> texts;
            texts.reserve(values.size());
            for (const T& value : values) texts.push_back(format(value));
            return QuoteList(texts);
          }};
}

// "http://10.0.0.1:2379"; the port is added where it is missing, a slash at the end removed.
absl::StatusOr<std::string> ParseServer(const std::string& text) {
  if (absl::StrContains(text, "@")) {  // may be a password: not shown
    return absl::InvalidArgumentError(
        "has a URL with a user in it; use etcd_username and etcd_password");
  }
  absl::string_view rest = text;
  const char* scheme = nullptr;
  if (absl::ConsumePrefix(&rest, "http://")) scheme = "http://";
  if (absl::ConsumePrefix(&rest, "https://")) scheme = "https://";
  absl::ConsumeSuffix(&rest, "/");
  const std::optional<HostPort> server = SplitHostPort(rest);
  if (scheme == nullptr || !server || server->host.empty() || absl::StrContains(rest, "/")) {
    return Refuse(text, "is not a URL such as http://10.0.0.1:2379 or https://etcd.example:2379");
  }
  const bool v6 = absl::StrContains(server->host, ":");
  return absl::StrCat(scheme, v6 ? "[" : "", server->host, v6 ? "]" : "", ":",
                      server->port.value_or(2379));
}

absl::StatusOr<ListenAddress> ParseListen(const std::string& text) {
  const std::optional<HostPort> parsed = SplitHostPort(text);
  if (!parsed || !parsed->port) {
    return Refuse(text, "is not an address with a port such as 127.0.0.1:49153 or [::1]:49153");
  }
  ListenAddress out{parsed->host, *parsed->port};
  if (out.host.empty()) out.host = "0.0.0.0";
  if (out.host == "localhost") out.host = "127.0.0.1";
  if (!IsAddress(out.host)) {
    return Refuse(text, "names a host; an address is needed, 0.0.0.0 or [::] for all of them");
  }
  return out;
}

using Metadata = std::map<std::string, std::string>;

}  // namespace

Type<std::string> Text(std::string name) {
  return OneText<std::string>(
      std::move(name), [](const std::string& text) { return text; },
      [](const std::string& text) { return Quote(text); });
}

Type<std::string> FilePath() {
  return OneText<std::string>(
      "file",
      [](const std::string& text) -> absl::StatusOr<std::string> {
        if (!absl::StartsWith(text, "/")) return Refuse(text, "is not an absolute path");
        return text;
      },
      [](const std::string& text) { return Quote(text); });
}

Type<std::string> Directory() {
  Type<std::string> type = FilePath();
  type.name = "directory";
  return {type.name,
          [file = type.parse](absl::string_view value) -> absl::StatusOr<std::string> {
            ASSIGN_OR_RETURN(const std::string path, file(value));
            return absl::EndsWith(path, "/") ? path : path + "/";
          },
          type.format};
}

Type<std::string> KeyPrefix() {
  return OneText<std::string>(
      "key prefix",
      [](const std::string& text) {
        const absl::string_view inner = absl::StripSuffix(absl::StripPrefix(text, "/"), "/");
        return inner.empty() ? "/" : absl::StrCat("/", inner, "/");
      },
      [](const std::string& text) { return Quote(text); });
}

Type<bool> Boolean() {
  return OneText<bool>(
      "true or false",
      [](const std::string& text) -> absl::StatusOr<bool> {
        const std::string lower = absl::AsciiStrToLower(text);
        for (const char* yes : {"true", "yes", "on", "1", "t"}) {
          if (lower == yes) return true;
        }
        for (const char* no : {"false", "no", "off", "0", "f"}) {
          if (lower == no) return false;
        }
        return Refuse(text, "is neither true nor false");
      },
      [](const bool& value) { return value ? "true" : "false"; });
}

Type<int64_t> Integer(int64_t min, int64_t max) {
  const std::string range =
      max == kNoLimit ? absl::StrCat("at least ", min) : absl::StrCat("from ", min, " to ", max);
  return OneText<int64_t>(
      absl::StrCat("number, ", range),
      [min, max, range](const std::string& text) -> absl::StatusOr<int64_t> {
        int64_t number = 0;
        if (!absl::SimpleAtoi(text, &number)) return Refuse(text, "is not a whole number");
        if (number < min || number > max) return Refuse(text, absl::StrCat("is not ", range));
        return number;
      },
      [](const int64_t& number) { return absl::StrCat(number); });
}

Type<absl::Duration> DurationAtLeast(absl::Duration min) {
  const std::string least = FormatDuration(min);
  return OneText<absl::Duration>(
      min == absl::ZeroDuration() ? "duration" : absl::StrCat("duration, at least ", least),
      [min, least](const std::string& text) -> absl::StatusOr<absl::Duration> {
        const absl::StatusOr<absl::Duration> duration = ParseDuration(text);
        if (!duration.ok()) return Refuse(text, "is not a duration such as 10s or 1m30s");
        if (*duration < min) return Refuse(text, absl::StrCat("is less than ", least));
        return *duration;
      },
      [](const absl::Duration& duration) { return FormatDuration(duration); });
}

Type<absl::Duration> Seconds(absl::Duration min) {
  Type<absl::Duration> type = DurationAtLeast(min);
  type.name = absl::StrCat("seconds, at least ", absl::ToDoubleSeconds(min));
  type.format = [](const absl::Duration& duration) {
    const std::string seconds = fmt::format("{}", absl::ToDoubleSeconds(duration));
    const absl::StatusOr<absl::Duration> read = ParseDuration(seconds);
    return read.ok() && *read == duration ? seconds : FormatDuration(duration);
  };
  return type;
}

Type<int64_t> Bytes() {
  return OneText<int64_t>(
      "bytes, with K, M, G or T",
      [](const std::string& text) -> absl::StatusOr<int64_t> {
        const absl::StatusOr<int64_t> bytes = ParseBytes(text);
        if (!bytes.ok()) return Refuse(text, "is not a size such as 512M or 1.5G");
        return *bytes;
      },
      [](const int64_t& bytes) {
        for (const auto& [unit, shift] : {std::pair("T", 40), {"G", 30}, {"M", 20}, {"K", 10}}) {
          if (bytes != 0 && bytes % (int64_t{1} << shift) == 0) {
            return absl::StrCat(bytes >> shift, unit);
          }
        }
        return absl::StrCat(bytes);
      });
}

Type<int64_t> Cpu() {
  return OneText<int64_t>(
      "cores, or percent of one",
      [](const std::string& text) -> absl::StatusOr<int64_t> {
        const absl::StatusOr<int64_t> milli_cores = ParseMilliCores(text);
        if (!milli_cores.ok()) {
          return Refuse(text, "is neither a number of cores such as 0.5 nor a share such as 50%");
        }
        return *milli_cores;
      },
      [](const int64_t& milli_cores) {
        return fmt::format("{}", static_cast<double>(milli_cores) / 1000);
      });
}

Type<Budget> BudgetType() {
  return OneText<Budget>(
      "number or percent of machines, at least 1",
      [](const std::string& text) -> absl::StatusOr<Budget> {
        auto budget = ParseBudget(text);
        if (budget.ok()) return budget;
        return Refuse(text, "is neither a number of machines such as 2 nor a share such as 25%");
      },
      [](const Budget& budget) { return BudgetText(budget); });
}

Type<std::string> AddressOrHost() {
  return OneText<std::string>(
      "address",
      [](const std::string& text) -> absl::StatusOr<std::string> {
        const bool name = std::all_of(text.begin(), text.end(), [](char c) {
          return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '-';
        });
        if (!name && !IsAddress(text)) return Refuse(text, "is neither an address nor a host name");
        return text;
      },
      [](const std::string& text) { return Quote(text); });
}

Type<Metadata> MetadataPairs() {
  return {"key=value, comma separated",
          [](absl::string_view value) -> absl::StatusOr<Metadata> {
            ASSIGN_OR_RETURN(const std::vector<std::string> elements, UnquoteList(value));
            Metadata out;
            for (const std::string& element : elements) {
              const std::pair<absl::string_view, absl::string_view> pair =
                  absl::StrSplit(element, absl::MaxSplits('=', 1));
              const std::string key(absl::StripAsciiWhitespace(pair.first));
              const std::string data(absl::StripAsciiWhitespace(pair.second));
              if (key.empty() || data.empty())
                return Refuse(element, "is not of the form key=value");
              if (!out.emplace(key, data).second) return Refuse(key, "is given twice");
            }
            return out;
          },
          [](const Metadata& metadata) {
            std::vector<std::string> pairs;
            bool has_comma = false;
            for (const auto& [key, data] : metadata) {
              pairs.push_back(absl::StrCat(key, "=", data));
              has_comma = has_comma || absl::StrContains(pairs.back(), ",");
            }
            return has_comma ? QuoteList(pairs) : Quote(absl::StrJoin(pairs, ","));
          }};
}

Type<std::vector<std::string>> ServerUrls() {
  return ListOf<std::string>("list of URLs", ParseServer,
                             [](const std::string& url) { return url; });
}

Type<std::vector<ListenAddress>> ListenAddresses() {
  return ListOf<ListenAddress>("list of addresses with a port", ParseListen,
                               [](const ListenAddress& address) { return ToString(address); });
}

Type<Placement> PlacementType() {
  return OneOf<Placement>({{"spread", Placement::kSpread}, {"pack", Placement::kPack}});
}

Type<Rebalance> RebalanceType() {
  return OneOf<Rebalance>({{"off", Rebalance::kOff}, {"auto", Rebalance::kAuto}});
}

Type<Drift> DriftType() {
  return OneOf<Drift>({{"report", Drift::kReport}, {"restore", Drift::kRestore}});
}

}  // namespace fleet::fleetd
