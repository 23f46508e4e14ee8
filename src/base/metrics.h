#pragma once

// What fleetd counts and measures for Prometheus, and the text it is asked for
// (text exposition format 0.0.4: https://prometheus.io/docs/instrumenting/exposition_formats/).
//
// A loop adds to its own counters while the API loop reads them: each value is a relaxed atomic and
// a family only ever grows, so that nobody waits for anybody and there is no lock. Values read
// together need not be of the same moment.
//
// Families are made while fleetd is put together, before its loops run; they outlive whoever counts
// in them. Labels take their values from small sets (kinds, results, routes), never from names.

#include <atomic>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fleet::metrics {

enum class Type { kCounter, kGauge, kHistogram };

// Counts up. Any thread.
class Counter {
 public:
  static constexpr Type kType = Type::kCounter;

  explicit Counter(std::span<const double> /*bounds*/ = {}) {}
  void Add(uint64_t count = 1) { value_.fetch_add(count, std::memory_order_relaxed); }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

// Goes up and down. Any thread.
class Gauge {
 public:
  static constexpr Type kType = Type::kGauge;

  explicit Gauge(std::span<const double> /*bounds*/ = {}) {}
  void Set(double value) { value_.store(value, std::memory_order_relaxed); }
  double value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_{0};
};

// How often a value (seconds) was at most each of the bounds. Any thread.
class Histogram {
 public:
  static constexpr Type kType = Type::kHistogram;

  // `bounds` ascend and outlive this object.
  explicit Histogram(std::span<const double> bounds)
      : bounds_(bounds), buckets_(bounds.size() + 1) {}
  void Observe(double value);

  std::span<const double> bounds() const { return bounds_; }
  // Of each bound, not cumulative; the last are those above all of them.
  std::vector<uint64_t> counts() const;
  double sum() const { return sum_.load(std::memory_order_relaxed); }

 private:
  const std::span<const double> bounds_;
  std::vector<std::atomic<uint64_t>> buckets_;
  std::atomic<double> sum_{0};
};

// From a tenth of a millisecond to half a minute.
std::span<const double> DurationBounds();

using Labels = std::vector<std::pair<std::string_view, std::string_view>>;

// Writes the format: of each family its head, then its samples.
class TextWriter {
 public:
  void Head(std::string_view name, std::string_view help, Type type);
  void Sample(std::string_view name, const Labels& labels, double value);
  void Sample(std::string_view name, const Labels& labels, uint64_t value);
  void Samples(std::string_view name, const Labels& labels, const Histogram& histogram);

  std::string Take() { return std::move(text_); }

 private:
  void WriteName(std::string_view name, const Labels& labels);

  std::string text_;
};

// "text/plain; version=0.0.4; charset=utf-8"
extern const char* const kTextContentType;

// What a family is made of, apart from its values.
struct Description {
  std::string name;                 // "fleet_store_requests_total"
  std::string help;                 // one sentence
  std::vector<std::string> labels;  // their names
};

class AnyFamily {
 public:
  virtual ~AnyFamily() = default;
  virtual void WriteTo(TextWriter& text) const = 0;
};

// The metrics of one name: one for each combination of label values.
template <typename Metric>
class Family final : public AnyFamily {
 public:
  Family(Description description, std::span<const double> bounds)
      : description_(std::move(description)), bounds_(bounds) {}
  ~Family() override;
  Family(const Family&) = delete;
  Family& operator=(const Family&) = delete;

  // The one with these values, in the order of the label names; made when it is first asked for.
  // Any thread. REQUIRES: as many values as there are labels.
  Metric& With(std::initializer_list<std::string_view> values);

  void WriteTo(TextWriter& text) const override;

 private:
  struct Node {
    Node(std::initializer_list<std::string_view> its_values, std::span<const double> bounds)
        : values(its_values.begin(), its_values.end()), metric(bounds) {}
    const std::vector<std::string> values;
    Metric metric;
    Node* next = nullptr;
  };

  // Among `from` and those behind it, up to `until`.
  static Node* Find(Node* from, const Node* until, std::initializer_list<std::string_view> values);

  const Description description_;
  const std::span<const double> bounds_;
  std::atomic<Node*> newest_{nullptr};  // nodes stay until the family ends
};

extern template class Family<Counter>;
extern template class Family<Gauge>;
extern template class Family<Histogram>;

class Registry {
 public:
  // Each name once. The family lives as long as the registry.
  Family<Counter>& Counters(Description description);
  Family<Gauge>& Gauges(Description description);
  // `bounds` outlive the registry.
  Family<Histogram>& Histograms(Description description,
                                std::span<const double> bounds = DurationBounds());

  // All families, in the order in which they were made.
  void WriteTo(TextWriter& text) const;

 private:
  template <typename Metric>
  Family<Metric>& Add(Description description, std::span<const double> bounds);

  std::vector<std::unique_ptr<AnyFamily>> families_;
};

}  // namespace fleet::metrics
