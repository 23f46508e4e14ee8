#include "base/metrics.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <iterator>

#include "fmt/format.h"

namespace fleet::metrics {

namespace {

constexpr std::array kDurationBounds = {0.0001, 0.0005, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1,
                                        0.25,   0.5,    1.0,   2.5,   5.0,  10.0,  30.0};

std::string_view ToString(Type type) {
  switch (type) {
    case Type::kCounter:
      return "counter";
    case Type::kGauge:
      return "gauge";
    case Type::kHistogram:
      return "histogram";
  }
  return "untyped";
}

std::string NumberText(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  return fmt::format("{}", value);
}

// HELP knows \\ and \n, label values \" besides.
void AppendEscaped(std::string& text, std::string_view value, bool quotes) {
  for (const char c : value) {
    if (c == '\\' || (quotes && c == '"')) text += '\\';
    if (c == '\n') {
      text += "\\n";
    } else {
      text += c;
    }
  }
}

void Write(TextWriter& text, std::string_view name, const Labels& labels, const Counter& counter) {
  text.Sample(name, labels, counter.value());
}
void Write(TextWriter& text, std::string_view name, const Labels& labels, const Gauge& gauge) {
  text.Sample(name, labels, gauge.value());
}
void Write(TextWriter& text, std::string_view name, const Labels& labels,
           const Histogram& histogram) {
  text.Samples(name, labels, histogram);
}

}  // namespace

const char* const kTextContentType = "text/plain; version=0.0.4; charset=utf-8";

std::span<const double> DurationBounds() { return kDurationBounds; }

void Histogram::Observe(double value) {
  const auto bound = std::lower_bound(bounds_.begin(), bounds_.end(), value);
  buckets_[static_cast<size_t>(bound - bounds_.begin())].fetch_add(1, std::memory_order_relaxed);
  sum_.fetch_add(value, std::memory_order_relaxed);
}

std::vector<uint64_t> Histogram::counts() const {
  std::vector<uint64_t> counts;
  counts.reserve(buckets_.size());
  for (const auto& bucket : buckets_) counts.push_back(bucket.load(std::memory_order_relaxed));
  return counts;
}

void TextWriter::Head(std::string_view name, std::string_view help, Type type) {
  fmt::format_to(std::back_inserter(text_), "# HELP {} ", name);
  AppendEscaped(text_, help, /*quotes=*/false);
  fmt::format_to(std::back_inserter(text_), "\n# TYPE {} {}\n", name, ToString(type));
}

void TextWriter::WriteName(std::string_view name, const Labels& labels) {
  text_ += name;
  char separator = '{';
  for (const auto& [label, value] : labels) {
    text_ += std::exchange(separator, ',');
    text_ += label;
    text_ += "=\"";
    AppendEscaped(text_, value, /*quotes=*/true);
    text_ += '"';
  }
  if (!labels.empty()) text_ += '}';
}

void TextWriter::Sample(std::string_view name, const Labels& labels, double value) {
  WriteName(name, labels);
  text_ += ' ' + NumberText(value) + '\n';
}

void TextWriter::Sample(std::string_view name, const Labels& labels, uint64_t value) {
  WriteName(name, labels);
  fmt::format_to(std::back_inserter(text_), " {}\n", value);
}

void TextWriter::Samples(std::string_view name, const Labels& labels, const Histogram& histogram) {
  const std::vector<uint64_t> counts = histogram.counts();
  const std::string bucket = fmt::format("{}_bucket", name);
  Labels with_bound = labels;
  with_bound.emplace_back("le", "");
  uint64_t total = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    total += counts[i];
    const std::string bound =
        i < histogram.bounds().size() ? NumberText(histogram.bounds()[i]) : "+Inf";
    with_bound.back().second = bound;
    Sample(bucket, with_bound, total);
  }
  Sample(fmt::format("{}_sum", name), labels, histogram.sum());
  Sample(fmt::format("{}_count", name), labels, total);
}

template <typename Metric>
Family<Metric>::~Family() {
  const Node* node = newest_.load(std::memory_order_acquire);
  while (node != nullptr) {
    const std::unique_ptr<const Node> ended(node);
    node = ended->next;
  }
}

template <typename Metric>
typename Family<Metric>::Node* Family<Metric>::Find(
    Node* from, const Node* until, std::initializer_list<std::string_view> values) {
  for (Node* node = from; node != until; node = node->next) {
    if (std::equal(values.begin(), values.end(), node->values.begin(), node->values.end())) {
      return node;
    }
  }
  return nullptr;
}

template <typename Metric>
Metric& Family<Metric>::With(std::initializer_list<std::string_view> values) {
  assert(values.size() == description_.labels.size());
  Node* seen = newest_.load(std::memory_order_acquire);
  if (Node* found = Find(seen, nullptr, values)) return found->metric;
  auto node = std::make_unique<Node>(values, bounds_);
  node->next = seen;
  while (!newest_.compare_exchange_weak(node->next, node.get(), std::memory_order_release,
                                        std::memory_order_acquire)) {
    // Another thread was quicker, perhaps with these very values.
    if (Node* found = Find(node->next, seen, values)) return found->metric;
    seen = node->next;
  }
  return node.release()->metric;
}

template <typename Metric>
void Family<Metric>::WriteTo(TextWriter& text) const {
  text.Head(description_.name, description_.help, Metric::kType);
  std::vector<const Node*> nodes;
  for (const Node* node = newest_.load(std::memory_order_acquire); node != nullptr;
       node = node->next) {
    nodes.push_back(node);
  }
  std::sort(nodes.begin(), nodes.end(),
            [](const Node* a, const Node* b) { return a->values < b->values; });
  for (const Node* node : nodes) {
    Labels labels;
    for (size_t i = 0; i < node->values.size(); ++i) {
      labels.emplace_back(description_.labels[i], node->values[i]);
    }
    Write(text, description_.name, labels, node->metric);
  }
}

template class Family<Counter>;
template class Family<Gauge>;
template class Family<Histogram>;

template <typename Metric>
Family<Metric>& Registry::Add(Description description, std::span<const double> bounds) {
  auto family = std::make_unique<Family<Metric>>(std::move(description), bounds);
  Family<Metric>& result = *family;
  families_.push_back(std::move(family));
  return result;
}

Family<Counter>& Registry::Counters(Description description) {
  return Add<Counter>(std::move(description), {});
}
Family<Gauge>& Registry::Gauges(Description description) {
  return Add<Gauge>(std::move(description), {});
}
Family<Histogram>& Registry::Histograms(Description description, std::span<const double> bounds) {
  return Add<Histogram>(std::move(description), bounds);
}

void Registry::WriteTo(TextWriter& text) const {
  for (const auto& family : families_) family->WriteTo(text);
}

}  // namespace fleet::metrics
