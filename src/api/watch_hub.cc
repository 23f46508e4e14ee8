#include "api/watch_hub.h"

#include <algorithm>
#include <iterator>
#include <map>

#include "api/entities.h"
#include "base/glob.h"
#include "fmt/core.h"

namespace fleet::api {
namespace {

using Kind = Touched::Kind;

// How many entities one step of a snapshot looks at, so that no turn of the loop gets long.
constexpr size_t kSnapshotStep = 10'000;

std::string Event(std::string_view event, std::string_view data) {
  return fmt::format("event: {}\ndata: {}\n\n", event, data);
}

std::string Sync(int64_t revision, bool resumed) {
  JsonWriter json;
  json.BeginObject().Key("revision").Int(revision);
  if (resumed) json.Key("resumed").Bool(true);
  json.EndObject();
  return fmt::format("id: {}\n{}", revision, Event("sync", json.text()));
}

}  // namespace

struct WatchHub::Client {
  std::shared_ptr<EventSink> sink;
  bool wants[3] = {};  // by Kind
  bool all_units = true;
  absl::flat_hash_set<std::string> names;
  std::vector<std::string> globs;

  // While the present entities are being sent: of which view, and where to go on.
  ClusterViewPtr snapshot;
  Kind next_kind = Kind::kUnit;
  UnitOnMachine next;

  bool Wants(const Touched& entity) const {
    if (!wants[static_cast<size_t>(entity.kind)]) return false;
    return entity.kind == Kind::kMachine || WantsUnit(entity.unit);
  }
  bool WantsUnit(const std::string& unit) const {
    return all_units || names.contains(unit) ||
           std::any_of(globs.begin(), globs.end(),
                       [&](const std::string& glob) { return GlobMatches(glob, unit); });
  }
  // Clients with the same key get the same bytes; nullopt: only this one does.
  std::optional<unsigned> ShareKey() const {
    if (!all_units) return std::nullopt;
    return (wants[0] ? 1U : 0U) | (wants[1] ? 2U : 0U) | (wants[2] ? 4U : 0U);
  }
};

WatchHub::WatchHub(Executor* executor, const AssignmentCounts* counts, WatchLimits limits)
    : executor_(executor),
      counts_(counts),
      limits_(limits),
      clients_(executor, "/watch", limits.streams),
      alive_(std::make_shared<bool>(true)) {}

WatchHub::~WatchHub() {
  if (flush_timer_ != 0) executor_->Cancel(flush_timer_);
}

void WatchHub::OnViewChange(const ViewChange& change) {
  const ClusterViewPtr before = std::exchange(view_, change.view);
  if (!before || view_->revision < before->revision) {
    // The first view, or another registry: what clients know is of another history.
    clients_.CloseAll();
    log_.clear();
    pending_ = {};
    forgotten_ = flushed_ = view_->revision;
    return;
  }
  AddTouched(pending_, *before, change);
  ScheduleFlush();
}

void WatchHub::ScheduleFlush() {
  if (flush_timer_ != 0) return;
  const absl::Time next =
      last_flush_ + std::clamp(limits_.gather_per_client * static_cast<int64_t>(clients_.size()),
                               limits_.gather, limits_.gather_at_most);
  const absl::Time now = executor_->Now();
  if (next <= now) {
    Flush();
    return;
  }
  flush_timer_ = executor_->PostAfter(next - now, [this] {
    flush_timer_ = 0;
    Flush();
  });
}

// Before a client is told of the present view: it would be told of what is gathered twice.
void WatchHub::FlushNow() {
  if (flush_timer_ == 0) return;
  executor_->Cancel(flush_timer_);
  flush_timer_ = 0;
  Flush();
}

void WatchHub::Remember(int64_t revision, const std::set<Touched>& entities) {
  for (const Touched& entity : entities) log_.emplace_back(revision, entity);
  while (log_.size() > limits_.remembered) {
    forgotten_ = log_.front().first;
    log_.pop_front();
  }
}

void WatchHub::Flush() {
  last_flush_ = executor_->Now();
  clients_.DropClosed();
  const int64_t before = std::exchange(flushed_, view_->revision);
  if (clients_.empty() && !pending_.flipped.empty()) {
    // Nobody listens: finding the units of machines that came or went is not worth it.
    pending_ = {};
    log_.clear();
    forgotten_ = flushed_;
    return;
  }
  ExpandFlipped(pending_, *view_);
  const std::set<Touched> entities = std::move(pending_.entities);
  pending_ = {};
  Remember(flushed_, entities);
  if (clients_.empty()) return;

  std::vector<std::pair<const Touched*, std::string>> messages;  // written when first wanted
  messages.reserve(entities.size());
  for (const Touched& entity : entities) messages.emplace_back(&entity, std::string());
  const auto bytes_for = [&](const Client& client) -> std::shared_ptr<const std::string> {
    std::vector<const std::string*> wanted;
    for (auto& [entity, text] : messages) {
      if (!client.Wants(*entity)) continue;
      if (text.empty()) text = EventOf(*view_, *entity);
      wanted.push_back(&text);
    }
    if (wanted.empty()) return nullptr;
    auto bytes = std::make_shared<std::string>();
    for (const std::string* text : wanted) {
      fmt::format_to(std::back_inserter(*bytes), "id: {}\n{}",
                     text == wanted.back() ? flushed_ : before, *text);
    }
    return bytes;
  };
  std::map<unsigned, std::shared_ptr<const std::string>> shared;
  for (const ClientPtr& client : clients_) {
    if (client->snapshot) continue;  // it is told the difference when its snapshot is complete
    const auto key = client->ShareKey();
    std::shared_ptr<const std::string> bytes;
    if (!key) {
      bytes = bytes_for(*client);
    } else if (auto it = shared.find(*key); it != shared.end()) {
      bytes = it->second;
    } else {
      bytes = shared[*key] = bytes_for(*client);
    }
    if (bytes) clients_.Send(*client, std::move(bytes));
  }
}

bool WatchHub::Remembers(int64_t revision) const {
  return revision >= forgotten_ && revision <= view_->revision;
}

void WatchHub::AddClient(std::shared_ptr<EventSink> sink, WatchFilter filter,
                         std::optional<int64_t> since) {
  FlushNow();
  auto client = std::make_shared<Client>();
  client->sink = std::move(sink);
  client->wants[static_cast<size_t>(Kind::kUnit)] = filter.units;
  client->wants[static_cast<size_t>(Kind::kState)] = filter.states;
  client->wants[static_cast<size_t>(Kind::kMachine)] = filter.machines;
  client->all_units = filter.unit_globs.empty();
  for (std::string& glob : filter.unit_globs) {
    if (IsGlob(glob)) {
      client->globs.push_back(std::move(glob));
    } else {
      client->names.insert(std::move(glob));
    }
  }
  clients_.Add(client);
  if (since && Remembers(*since)) {
    clients_.Send(*client, std::make_shared<std::string>(Sync(*since, true)));
    std::set<Touched> missed;
    for (auto it = log_.rbegin(); it != log_.rend() && it->first > *since; ++it) {
      missed.insert(it->second);
    }
    SendTouched(*client, missed, *since, std::max(*since, flushed_));
    return;
  }
  client->snapshot = view_;
  StepSnapshot(client);
}

void WatchHub::SendTouched(Client& client, const std::set<Touched>& entities, int64_t before,
                           int64_t after) {
  std::vector<std::string> texts;
  for (const Touched& entity : entities) {
    if (client.Wants(entity)) texts.push_back(EventOf(*view_, entity));
  }
  if (texts.empty()) return;
  auto bytes = std::make_shared<std::string>();
  for (size_t i = 0; i < texts.size(); ++i) {
    fmt::format_to(std::back_inserter(*bytes), "id: {}\n{}", i + 1 == texts.size() ? after : before,
                   texts[i]);
  }
  clients_.Send(client, std::move(bytes));
}

void WatchHub::StepSnapshot(const ClientPtr& client) {
  const ClusterView& view = *client->snapshot;
  // An id of 0 is too old to be told from: whoever breaks off within the snapshot begins anew.
  auto bytes = std::make_shared<std::string>();
  size_t seen = 0;
  const auto full = [&] {
    return bytes->size() >= limits_.snapshot_chunk_bytes || seen >= kSnapshotStep;
  };
  const auto add = [&](const Touched& entity) {
    if (client->Wants(entity))
      fmt::format_to(std::back_inserter(*bytes), "id: 0\n{}", EventOf(view, entity));
  };
  bool complete = false;
  while (!complete && !full()) {
    const bool wanted = client->wants[static_cast<size_t>(client->next_kind)];
    switch (client->next_kind) {
      case Kind::kUnit: {
        auto it = view.units.lower_bound(client->next.unit);
        for (; wanted && it != view.units.end() && !full(); ++it, ++seen) {
          add({Kind::kUnit, it->first, ""});
        }
        if (wanted && it != view.units.end()) {
          client->next.unit = it->first;
        } else {
          client->next_kind = Kind::kState;
          client->next = {};
        }
        break;
      }
      case Kind::kState: {
        auto it = view.states.lower_bound(client->next);
        for (; wanted && it != view.states.end() && !full(); ++it, ++seen) {
          if (IsListed(it->second.value)) add({Kind::kState, it->first.unit, it->first.machine});
        }
        if (wanted && it != view.states.end()) {
          client->next = it->first;
        } else {
          client->next_kind = Kind::kMachine;
          client->next = {};
        }
        break;
      }
      case Kind::kMachine: {
        auto it = view.machines.lower_bound(client->next.machine);
        for (; wanted && it != view.machines.end() && !full(); ++it, ++seen) {
          add({Kind::kMachine, "", it->first});
        }
        if (wanted && it != view.machines.end()) {
          client->next.machine = it->first;
        } else {
          complete = true;
        }
        break;
      }
    }
  }
  if (complete) {
    if (!bytes->empty()) clients_.Send(*client, std::move(bytes));
    EndSnapshot(client);
    return;
  }
  auto go_on = [this, alive = std::weak_ptr<bool>(alive_), weak = std::weak_ptr<Client>(client)] {
    const ClientPtr next = weak.lock();
    if (!alive.expired() && next && next->snapshot && !next->sink->closed()) StepSnapshot(next);
  };
  if (bytes->empty()) {
    executor_->Post(std::move(go_on));
  } else {
    client->sink->OnDrained(std::move(go_on));
    clients_.Send(*client, std::move(bytes));
  }
}

void WatchHub::EndSnapshot(const ClientPtr& client) {
  FlushNow();
  const ClusterViewPtr snapshot = std::exchange(client->snapshot, nullptr);
  clients_.Send(*client, std::make_shared<std::string>(Sync(snapshot->revision, false)));
  if (snapshot == view_) return;
  SendTouched(*client, Difference(*snapshot, *view_), snapshot->revision, view_->revision);
}

std::string WatchHub::EventOf(const ClusterView& view, const Touched& entity) const {
  JsonWriter json;
  switch (entity.kind) {
    case Kind::kUnit:
      if (!view.units.Find(entity.unit)) {
        WriteRemoved(json, entity.unit, "");
        return Event("unit-removed", json.text());
      }
      WriteUnit(json, view, entity.unit, Detail::kSummary);
      return Event("unit", json.text());
    case Kind::kState: {
      const UnitOnMachine where{entity.unit, entity.machine};
      const auto* report = view.states.Find(where);
      if (!report || !IsListed(report->value)) {
        WriteRemoved(json, entity.unit, entity.machine);
        return Event("state-removed", json.text());
      }
      WriteState(json, where, report->value);
      return Event("state", json.text());
    }
    case Kind::kMachine:
      break;
  }
  if (!view.machines.Find(entity.machine)) {
    WriteRemoved(json, "", entity.machine);
    return Event("machine-removed", json.text());
  }
  WriteMachine(json, view, entity.machine, counts_->Of(entity.machine));
  return Event("machine", json.text());
}

}  // namespace fleet::api
