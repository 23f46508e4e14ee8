#include "fleetctl/output.h"

#include <algorithm>
#include <cctype>

#include "client/text.h"
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

bool NeedsQuotes(const std::string& text) {
  if (text.empty() || std::isspace(static_cast<unsigned char>(text.front())) ||
      std::isspace(static_cast<unsigned char>(text.back())))
    return true;
  if ((text.find(": ") != std::string::npos) || (text.find(" #") != std::string::npos) ||
      text.back() == ':')
    return true;
  if (std::string_view("-?:,[]{}#&*!|>'\"%@`=~").find(text.front()) != std::string_view::npos)
    return true;
  if (std::isdigit(static_cast<unsigned char>(text[0])) || text[0] == '.' || text[0] == '+')
    return true;  // maybe a number, a date or a time
  const std::string lower = ToLower(text);
  for (const std::string_view word : {"true", "false", "yes", "no", "on", "off", "null", "y", "n"})
    if (lower == word) return true;
  return std::any_of(text.begin(), text.end(),
                     [](unsigned char c) { return std::iscntrl(c) != 0; });
}

// A JSON string is a YAML double-quoted scalar.
std::string Scalar(const json& value) {
  if (value.is_string() && !NeedsQuotes(value.get_ref<const std::string&>()))
    return value.get<std::string>();
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

bool IsBlock(const json& value) { return value.is_structured() && !value.empty(); }

void AppendYaml(std::string& out, const json& value, size_t indent) {
  const std::string margin(indent, ' ');
  if (value.is_object()) {
    for (const auto& [key, element] : value.items()) {
      Append(out, margin, Scalar(key), ":");
      if (IsBlock(element)) {
        out += '\n';
        AppendYaml(out, element, indent + 2);
      } else {
        Append(out, " ", Scalar(element), "\n");
      }
    }
    return;
  }
  for (const json& element : value) {
    if (!IsBlock(element)) {
      Append(out, margin, "- ", Scalar(element), "\n");
      continue;
    }
    const size_t start = out.size();
    AppendYaml(out, element, indent + 2);
    out[start + indent] = '-';
  }
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

std::string ToYaml(const json& value) {
  if (!IsBlock(value)) return Scalar(value) + "\n";
  std::string out;
  AppendYaml(out, value, 0);
  return out;
}

}  // namespace fleet::fleetctl
