#pragma once

// The clients of one kind of event streams: tells each now and then that its stream is alive, and
// drops those that read too slowly, telling them so.
//
// Lives in the API loop.

#include <list>
#include <memory>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "api/http.h"
#include "base/executor.h"
#include "base/log.h"
#include "fmt/core.h"

namespace fleet::api {

struct StreamLimits {
  absl::Duration heartbeat = absl::Seconds(15);
  size_t slow_client_bytes = 8 << 20;  // a client with more in its queue is dropped
  // How long a client that is dropped has to read that it is.
  absl::Duration farewell = absl::Seconds(30);
};

// `Client` has a member `sink`, a shared EventSink.
template <typename Client>
class StreamClients {
 public:
  using ClientPtr = std::shared_ptr<Client>;

  // `path` names the streams in the log: "/watch". `executor` outlives this object.
  StreamClients(Executor* executor, std::string path, const StreamLimits& limits)
      : executor_(executor), path_(std::move(path)), limits_(limits) {}
  ~StreamClients() {
    if (heartbeat_ != 0) executor_->Cancel(heartbeat_);
  }
  StreamClients(const StreamClients&) = delete;
  StreamClients& operator=(const StreamClients&) = delete;

  void Add(ClientPtr client) {
    clients_.push_back(std::move(client));
    ScheduleHeartbeat();
  }

  // Does nothing for one that is closed; drops one that has left too much unread.
  void Send(Client& client, std::shared_ptr<const std::string> bytes) {
    EventSink& sink = *client.sink;
    if (sink.closed()) return;
    if (sink.QueuedBytes() > limits_.slow_client_bytes) {
      Drop(client.sink);
    } else {
      sink.Send(std::move(bytes));
    }
  }

  void DropClosed() {
    clients_.remove_if([](const ClientPtr& client) { return client->sink->closed(); });
  }
  // Ends all streams: their clients come back.
  void CloseAll() {
    for (const ClientPtr& client : clients_) client->sink->Close();
    clients_.clear();
  }

  auto begin() const { return clients_.begin(); }
  auto end() const { return clients_.end(); }
  size_t size() const { return clients_.size(); }
  bool empty() const { return clients_.empty(); }

 private:
  // The messages that it has not got are void; the id of the last one that it has got stands.
  void Drop(const std::shared_ptr<EventSink>& sink) {
    log::Warning("dropped a client of {}: it left {} bytes of events unread", path_,
                 sink->QueuedBytes());
    sink->DiscardQueued();
    sink->Send(std::make_shared<const std::string>(
        fmt::format("event: dropped\ndata: {{\"reason\":\"more than {} bytes of events were left "
                    "unread\"}}\n\n",
                    limits_.slow_client_bytes)));
    sink->Finish();
    executor_->PostAfter(limits_.farewell, [weak = std::weak_ptr<EventSink>(sink)] {
      if (const auto late = weak.lock()) late->Close();
    });
  }

  void ScheduleHeartbeat() {
    if (heartbeat_ != 0) return;
    heartbeat_ = executor_->PostAfter(limits_.heartbeat, [this] {
      heartbeat_ = 0;
      DropClosed();
      const auto comment = std::make_shared<const std::string>(":\n\n");
      for (const ClientPtr& client : clients_) Send(*client, comment);
      if (!clients_.empty()) ScheduleHeartbeat();
    });
  }

  Executor* const executor_;
  const std::string path_;
  const StreamLimits limits_;
  std::list<ClientPtr> clients_;
  Executor::TimerId heartbeat_ = 0;
};

}  // namespace fleet::api
