#include "reconcile/engine_settings.h"

#include <algorithm>

namespace fleet::reconcile {

size_t DisruptionBudget::Of(size_t machines) const {
  if (amount <= 0) return 1;
  const auto wanted = static_cast<size_t>(amount);
  // A part of a machine is none.
  return std::max<size_t>(1, percent ? machines * std::min<size_t>(wanted, 100) / 100 : wanted);
}

}  // namespace fleet::reconcile
