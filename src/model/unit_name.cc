#include "model/unit_name.h"

#include <array>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "fmt/format.h"
#include "model/text.h"

namespace fleet {
namespace {

constexpr size_t kMaxBytes = 255;

struct TypeInfo {
  std::string_view suffix;
  UnitType type;
  bool templates;  // whether fleet accepts templates of this type
};

constexpr std::array<TypeInfo, 11> kTypes = {{
    {"automount", UnitType::kAutomount, false},
    {"device", UnitType::kDevice, false},
    {"mount", UnitType::kMount, false},
    {"path", UnitType::kPath, true},
    {"scope", UnitType::kScope, false},
    {"service", UnitType::kService, true},
    {"slice", UnitType::kSlice, false},
    {"socket", UnitType::kSocket, true},
    {"swap", UnitType::kSwap, false},
    {"target", UnitType::kTarget, true},
    {"timer", UnitType::kTimer, true},
}};

const TypeInfo* FindType(std::string_view suffix) {
  for (const TypeInfo& info : kTypes) {
    if (info.suffix == suffix) return &info;
  }
  return nullptr;
}

bool IsNameCharacter(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
         std::string_view(":_.@-\\").find(c) != std::string_view::npos;
}

absl::Status Invalid(std::string_view name, std::string_view why) {
  return absl::InvalidArgumentError(fmt::format("invalid unit name {}: {}", Quoted(name), why));
}

}  // namespace

absl::StatusOr<UnitName> UnitName::Parse(std::string_view name) {
  if (name.empty()) return absl::InvalidArgumentError("invalid unit name: it is empty");
  if (name.size() > kMaxBytes) {
    return Invalid(name,
                   fmt::format("it has {} bytes, at most {} are allowed", name.size(), kMaxBytes));
  }
  for (size_t i = 0; i < name.size(); ++i) {
    if (IsNameCharacter(name[i])) continue;
    return Invalid(
        name, fmt::format("'{}' at position {} is not allowed; letters, digits and :_.@-\\ are",
                          Printable(name.substr(i, 1)), i + 1));
  }

  UnitName parsed;
  parsed.full_ = std::string(name);
  parsed.dot_ = name.rfind('.');
  const TypeInfo* info =
      parsed.dot_ == std::string_view::npos ? nullptr : FindType(name.substr(parsed.dot_ + 1));
  if (info == nullptr) {
    return Invalid(name,
                   "it does not end in a unit type (.service, .socket, .timer, .path, .target, "
                   ".mount, .automount, .swap, .device, .slice or .scope)");
  }
  if (parsed.dot_ == 0) return Invalid(name, "nothing stands before the suffix");
  parsed.type_ = info->type;

  parsed.at_ = name.find('@');
  parsed.has_at_ = parsed.at_ < parsed.dot_;
  if (parsed.has_at_ && parsed.at_ == 0) return Invalid(name, "nothing stands before the @");
  if (parsed.is_template() && !info->templates) {
    return Invalid(name, fmt::format("a .{} unit cannot be a template", info->suffix));
  }
  return parsed;
}

std::string_view UnitName::suffix() const { return std::string_view(full_).substr(dot_ + 1); }

std::string_view UnitName::stem() const { return std::string_view(full_).substr(0, dot_); }

std::string_view UnitName::prefix() const { return has_at_ ? stem().substr(0, at_) : stem(); }

std::string_view UnitName::instance() const {
  return has_at_ ? stem().substr(at_ + 1) : std::string_view();
}

std::string UnitName::TemplateName() const { return fmt::format("{}@.{}", prefix(), suffix()); }

std::string WithDefaultSuffix(std::string_view name) {
  const size_t dot = name.rfind('.');
  if (dot != std::string_view::npos && FindType(name.substr(dot + 1)) != nullptr) {
    return std::string(name);
  }
  return fmt::format("{}.service", name);
}

}  // namespace fleet
