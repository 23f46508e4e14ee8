#pragma once

// Unit names: `prefix.suffix` or `prefix@instance.suffix` (a template has an empty instance).

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace fleet {

enum class UnitType {
  kAutomount,
  kDevice,
  kMount,
  kPath,
  kScope,
  kService,
  kSlice,
  kSocket,
  kSwap,
  kTarget,
  kTimer,
};

class UnitName {
 public:
  // INVALID_ARGUMENT: an empty or over-long (255 bytes) name, no or an unknown suffix, a character
  // outside [a-zA-Z0-9:_.@\-\\], or a template of a type that has none.
  static absl::StatusOr<UnitName> Parse(std::string_view name);

  const std::string& full() const { return full_; }
  std::string_view suffix() const;  // "service", without the dot
  UnitType type() const { return type_; }
  std::string_view stem() const;      // without the suffix: "web@1" (%N)
  std::string_view prefix() const;    // before the @, or the stem (%p)
  std::string_view instance() const;  // after the @, empty otherwise (%i)

  bool is_template() const { return has_at_ && instance().empty(); }
  bool is_instance() const { return has_at_ && !instance().empty(); }
  // "web@.service" of "web@1.service". REQUIRES: is_instance() or is_template().
  std::string TemplateName() const;

  bool operator==(const UnitName& other) const { return full_ == other.full_; }

 private:
  std::string full_;
  UnitType type_ = UnitType::kService;
  bool has_at_ = false;
  size_t at_ = 0;   // of the first '@', if has_at_
  size_t dot_ = 0;  // of the last '.'
};

// What a user typed on a command line: a name with no known suffix gets ".service".
std::string WithDefaultSuffix(std::string_view name);

}  // namespace fleet
