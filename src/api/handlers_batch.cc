// POST /batch: many unit changes at once, each with its own result.

#include <algorithm>
#include <utility>

#include "api/api_state.h"
#include "api/body_members.h"
#include "api/conditional.h"
#include "api/json_reader.h"
#include "api/json_writer.h"
#include "base/status.h"
#include "fmt/core.h"

namespace fleet::api {
namespace {

using nlohmann::json;
using registry::UnitChange;
using registry::UnitChangeResult;
using Effect = UnitChangeResult::Effect;

constexpr size_t kMaxChanges = 10'000;
constexpr size_t kMaxBody = 64 << 20;

// The changes that can be read, and for all of them where they stand and what is wrong with the
// others.
struct Batch {
  struct Entry {
    std::string name;
    absl::Status status;
  };
  std::vector<Entry> entries;
  std::vector<UnitChange> changes;  // of the entries that are OK, in their order
};

absl::StatusOr<UnitChange> ReadKnownChange(const json& element) {
  RETURN_IF_ERROR(CheckMembers(element, "UnitChange"));
  return ReadUnitChange(element);
}

absl::StatusOr<Batch> ReadBatch(const std::string& body) {
  ASSIGN_OR_RETURN(const json parsed, ParseJson(body, "an object with an array \"changes\""));
  const json* list = parsed.is_object() ? FindMember(parsed, "changes") : nullptr;
  if (!list || !list->is_array()) {
    return absl::InvalidArgumentError("the body must be an object with an array \"changes\"");
  }
  if (list->size() > kMaxChanges) {
    return absl::InvalidArgumentError(fmt::format(
        "{} changes are too many for one request: at most {}", list->size(), kMaxChanges));
  }
  Batch batch;
  for (const json& element : *list) {
    auto change = ReadKnownChange(element);
    Batch::Entry entry{.status = change.status()};
    if (change.ok()) {
      entry.name = change->name;
      batch.changes.push_back(*std::move(change));
    } else if (element.is_object()) {
      if (auto name = StringMember(element, "name"); name.ok()) entry.name = name->value_or("");
    }
    batch.entries.push_back(std::move(entry));
  }
  return batch;
}

int CodeOf(const UnitChangeResult& result) {
  if (result.condition_failed) return 412;
  if (!result.status.ok()) return HttpCode(result.status.code());
  return result.effect == Effect::kCreated ? 201 : 204;
}

std::string MessageOf(const UnitChangeResult& result) {
  std::string message(result.status.message());
  if (!result.condition_failed || !result.record) return message;
  return PreconditionText(message, TagOf(*result.record));
}

void WriteResult(JsonWriter& out, const Batch::Entry& entry, const UnitChangeResult* result) {
  out.BeginObject().Always("name", entry.name);
  if (result == nullptr) {
    out.Key("code")
        .Int(HttpCode(entry.status.code()))
        .Always("message", std::string(entry.status.message()));
  } else {
    out.Key("code").Int(CodeOf(*result)).Member("message", MessageOf(*result));
    if (result->differs) out.Key("differs").Bool(true);
    if (result->same) out.Key("same").Bool(true);
  }
  out.EndObject();
}

// Why nothing of it could even be tried; OK if anything could.
absl::Status WhyUnavailable(const Batch& batch, const std::vector<UnitChangeResult>& results) {
  const bool none = !results.empty() && results.size() == batch.entries.size() &&
                    std::all_of(results.begin(), results.end(), [](const auto& result) {
                      return absl::IsUnavailable(result.status);
                    });
  return none ? results[0].status : absl::OkStatus();
}

Response Answer(const Batch& batch, const std::vector<UnitChangeResult>& results,
                int64_t revision) {
  JsonWriter body;
  body.BeginObject().Key("revision").Int(revision).Key("results").BeginArray();
  size_t next = 0;
  for (const Batch::Entry& entry : batch.entries) {
    WriteResult(body, entry, entry.status.ok() ? &results[next++] : nullptr);
  }
  body.EndArray().EndObject();
  return JsonResponse(200, body.Take());
}

void PostBatch(ApiState& state, const Request& request, Responder respond) {
  auto batch = ReadBatch(request.body);
  if (!batch.ok()) {
    respond(ErrorResponse(batch.status()));
    return;
  }
  std::vector<UnitChange> changes = std::exchange(batch->changes, {});
  const int64_t now = state.view->revision;
  state.changer.Apply(
      state.view, std::move(changes),
      [&state, now, batch = *std::move(batch),
       respond = std::move(respond)](std::vector<UnitChangeResult> results) mutable {
        if (const auto status = WhyUnavailable(batch, results); !status.ok()) {
          respond(WriteErrorResponse(status));
          return;
        }
        int64_t revision = 0;
        for (const auto& result : results) revision = std::max(revision, result.revision);
        WhenSeen(state, revision, std::move(respond),
                 [batch = std::move(batch), results = std::move(results),
                  shown = std::max(now, revision)] { return Answer(batch, results, shown); });
      });
}

}  // namespace

void AddBatchRoutes(ApiState& state) {
  AddWithView(state, {.method = "POST",
                      .pattern = "/fleet/v1/batch",
                      .resource = "Batch",
                      .name = "Apply",
                      .description = "Change many Units at once, each atomic by itself.",
                      .request_schema = "Batch",
                      .any_member = true,
                      .response_schema = "BatchAnswer",
                      .max_body = kMaxBody,
                      .handler = [&state](const Request& request, Responder respond) {
                        PostBatch(state, request, std::move(respond));
                      }});
}

}  // namespace fleet::api
