#include "base/yaml.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>

#include "nlohmann/json.hpp"

namespace fleet {
namespace {

bool IsSpace(char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; }

bool NeedsQuotes(std::string_view text) {
  if (text.empty() || IsSpace(text.front()) || IsSpace(text.back())) return true;
  if (text.find(": ") != std::string_view::npos || text.find(" #") != std::string_view::npos ||
      text.back() == ':') {
    return true;
  }
  if (std::string_view("-?:,[]{}#&*!|>'\"%@`=~").find(text.front()) != std::string_view::npos)
    return true;
  if (std::isdigit(static_cast<unsigned char>(text[0])) || text[0] == '.' || text[0] == '+')
    return true;  // maybe a number, a date or a time
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  constexpr std::array<std::string_view, 9> kWords = {"true", "false", "yes", "no", "on",
                                                      "off",  "null",  "y",   "n"};
  return std::find(kWords.begin(), kWords.end(), lower) != kWords.end() ||
         std::any_of(text.begin(), text.end(),
                     [](unsigned char c) { return std::iscntrl(c) != 0; });
}

// A JSON string is a YAML double-quoted scalar.
template <typename Json>
std::string Scalar(const Json& value) {
  if (value.is_string() && !NeedsQuotes(value.template get_ref<const std::string&>()))
    return value.template get<std::string>();
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

template <typename Json>
bool IsBlock(const Json& value) {
  return value.is_structured() && !value.empty();
}

template <typename Json>
void AppendYaml(std::string& out, const Json& value, size_t indent) {
  const std::string margin(indent, ' ');
  if (value.is_object()) {
    for (const auto& [key, element] : value.items()) {
      out += margin + Scalar(Json(key)) + ":";
      if (IsBlock(element)) {
        out += '\n';
        AppendYaml(out, element, indent + 2);
      } else {
        out += " " + Scalar(element) + "\n";
      }
    }
    return;
  }
  for (const Json& element : value) {
    if (!IsBlock(element)) {
      out += margin + "- " + Scalar(element) + "\n";
      continue;
    }
    const size_t start = out.size();
    AppendYaml(out, element, indent + 2);
    out[start + indent] = '-';
  }
}

template <typename Json>
std::string Render(const Json& value) {
  if (!IsBlock(value)) return Scalar(value) + "\n";
  std::string out;
  AppendYaml(out, value, 0);
  return out;
}

}  // namespace

std::string ToYaml(const nlohmann::json& json) { return Render(json); }
std::string ToYaml(const nlohmann::ordered_json& json) { return Render(json); }

}  // namespace fleet
