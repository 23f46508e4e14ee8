#pragma once

// A callback that counts and times what it is the answer to.

#include <string_view>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "base/executor.h"
#include "base/metrics.h"

namespace fleet::metrics {

// What is asked of somebody else, by kind. They outlive the callbacks.
struct Asked {
  Family<Counter>& answers;      // labels: kind, result
  Family<Histogram>& durations;  // seconds; label: kind
};

// `done`, counted when it is called and timed from now on, by the clock of `executor`.
// `result_of(answer)` is the label `result`. `kind` and `executor` outlive the callback.
template <typename Answer, typename ResultOf>
absl::AnyInvocable<void(Answer)> Metered(Asked asked, Executor* executor, std::string_view kind,
                                         ResultOf result_of,
                                         absl::AnyInvocable<void(Answer)> done) {
  return [asked, executor, kind, result_of, begun = executor->Now(),
          done = std::move(done)](Answer answer) mutable {
    asked.answers.With({kind, result_of(answer)}).Add();
    asked.durations.With({kind}).Observe(absl::ToDoubleSeconds(executor->Now() - begun));
    done(std::move(answer));
  };
}

}  // namespace fleet::metrics
