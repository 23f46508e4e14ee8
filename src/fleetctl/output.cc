#include "fleetctl/output.h"

#include <algorithm>
#include <cctype>

#include "base/yaml.h"
#include "client/text.h"
#include "fleetctl/exit_code.h"
#include "nlohmann/json.hpp"

namespace fleet::fleetctl {
namespace {

using nlohmann::json;

// Columns on a terminal: code points, which is exact for what units and machines are named.
size_t Width(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

// A cell may not break its line or its column.
std::string Clean(std::string_view cell) {
  if (cell.empty()) return "-";
  std::string clean(cell);
  std::replace_if(
      clean.begin(), clean.end(), [](unsigned char c) { return std::iscntrl(c) != 0; }, ' ');
  return clean;
}

}  // namespace

std::string Table::Render() const {
  std::vector<std::vector<std::string>> lines;
  lines.reserve(rows_.size() + 1);
  if (!header_.empty()) lines.push_back(header_);
  std::vector<size_t> widths;
  for (const auto& row : rows_) {
    std::vector<std::string>& line = lines.emplace_back();
    line.reserve(row.size());
    for (const std::string& cell : row) line.push_back(Clean(cell));
  }
  for (const auto& line : lines) {
    widths.resize(std::max(widths.size(), line.size()));
    for (size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], Width(line[i]));
  }
  std::string out;
  for (const auto& line : lines) {
    for (size_t i = 0; i < line.size(); ++i) {
      out += line[i];
      if (i + 1 == line.size()) continue;
      out.append(widths[i] - Width(line[i]), ' ');
      out += '\t';
    }
    out += '\n';
  }
  return out;
}

std::string ShortId(std::string_view id, bool full) {
  if (full || id.size() <= 8) return std::string(id);
  return Cat(id.substr(0, 8), "...");
}

std::string WithShortIds(std::string_view text, bool full) {
  constexpr size_t kIdLength = 32;  // machine-id(5)
  if (full) return std::string(text);
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string out;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find_first_not_of(kHex, begin), text.size());
    const std::string_view word = text.substr(begin, end - begin);
    const std::string_view rest = text.substr(end, end < text.size() ? 1 : 0);
    Append(out, word.size() == kIdLength ? ShortId(word, false) : std::string(word), rest);
    begin = end + 1;
  }
  return out;
}

std::string ShortHash(std::string_view hash, bool full) {
  return std::string(full ? hash : hash.substr(0, 7));
}

std::string MachineLabel(std::string_view id, std::string_view ip, bool full) {
  if (id.empty()) return "";
  if (ip.empty()) return ShortId(id, full);
  return Cat(ShortId(id, full), "/", ip);
}

std::string MetadataLabel(const std::map<std::string, std::string>& metadata) {
  std::vector<std::string> pairs;
  pairs.reserve(metadata.size());
  for (const auto& [key, value] : metadata) pairs.push_back(Cat(key, "=", value));
  return Join(pairs, ",");
}

FlagSpec OutputFlag(std::string_view help) {
  return {.name = "output",
          .letter = 'o',
          .value = "FORMAT",
          .fallback = help.starts_with("text") ? "text" : "table",
          .help = help};
}

std::vector<std::string> FormatsOf(const FlagSpec& flag) {
  std::vector<std::string> found;
  for (const std::string_view format : {"text", "table", "wide", "json", "yaml", "name", "cat"}) {
    const size_t at = flag.help.find(format);
    if (at != std::string_view::npos && (at == 0 || flag.help[at - 1] == ' '))
      found.emplace_back(format);
  }
  return found;
}

void UnifyFormat(Flags& flags) {
  const FlagSpec* spec = flags.Find("output");
  if (spec == nullptr || (spec->fallback != "text" && spec->fallback != "table")) return;
  const std::string format = flags.Text("output");
  const bool has_wide = spec->help.find("wide") != std::string_view::npos;
  const bool is_other = format == "text" || format == "table" || (format == "wide" && !has_wide);
  if (is_other && format != spec->fallback) flags.Set("output", spec->fallback);
}

bool HasEntities(std::string_view format) { return format == "json" || format == "yaml"; }

absl::Status CheckFormat(const Flags& flags) {
  const std::vector<std::string> formats = FormatsOf(*flags.Find("output"));
  const std::string format = flags.Text("output");
  if (std::find(formats.begin(), formats.end(), format) != formats.end()) return absl::OkStatus();
  std::string message = "-o is ";
  for (const std::string& known : formats) {
    const bool last = &known == &formats.back();
    Append(message, &known == &formats.front() ? "" : last ? " or " : ", ", known);
  }
  return UsageError(Cat(message, ", not \"", format, "\""));
}

std::string RenderEntities(const std::vector<std::string>& entities, std::string_view format,
                           bool as_list) {
  json document = json::array();
  for (const std::string& entity : entities)
    document.push_back(json::parse(entity, nullptr, false));
  if (!as_list && document.size() == 1) document = json(document[0]);
  if (format == "yaml") return ToYaml(document);
  return document.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace fleet::fleetctl
