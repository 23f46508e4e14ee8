// /openapi.yaml against what is served, both ways.

#include <yaml-cpp/yaml.h>

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "api/api.h"
#include "fmt/core.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "registry/testing/fake_store.h"
#include "registry/testing/manual_executor.h"
#include "registry/view_builder.h"

namespace fleet::api {
namespace {

using ::testing::Contains;

class OpenApiTest : public ::testing::Test {
 protected:
  OpenApiTest() {
    api_ = std::make_unique<Api>(
        ApiContext{.executor = &executor_, .store = &store_, .keys = keys_, .version = "2.0.0"});
    registry::ViewBuilder builder(keys_);
    api_->OnViewChange({.view = builder.Snapshot(store_.revision()), .reset = true});
    const Response response = Send("GET", "/openapi.yaml");
    EXPECT_EQ(response.code, 200);
    EXPECT_EQ(response.content_type, "application/yaml");
    document_ = YAML::Load(response.body);
  }

  Response Send(const std::string& method, const std::string& target) {
    std::optional<Response> answer;
    Request request;
    request.method = method;
    request.target = target;
    api_->Handle(std::move(request), [&](Response response) { answer = std::move(response); });
    executor_.RunUntilIdle();
    return answer ? *std::move(answer) : Response{.code = 0};
  }

  // "GET /fleet/v1/units/{unitName}"
  std::set<std::string> Documented() const {
    std::set<std::string> methods;
    for (const auto& path : document_["paths"]) {
      for (const auto& method : path.second) {
        methods.insert(absl::AsciiStrToUpper(method.first.as<std::string>()) + " " +
                       path.first.as<std::string>());
      }
    }
    return methods;
  }

  const registry::Keys keys_{"/fleet/"};
  registry::testing::ManualExecutor executor_;
  registry::testing::FakeStore store_{&executor_};
  std::unique_ptr<Api> api_;
  YAML::Node document_;
};

TEST_F(OpenApiTest, HasEachMethodThatIsServedAndNoOther) {
  std::set<std::string> served;
  for (const auto& [method, pattern] : api_->Methods()) served.insert(method + " " + pattern);
  EXPECT_EQ(Documented(), served);
  EXPECT_THAT(served, Contains("GET /openapi.yaml"));
  EXPECT_THAT(served, Contains("PUT /fleet/v1/units/{unitName}"));
}

TEST_F(OpenApiTest, EachMethodOfItIsAnsweredAtItsPath) {
  for (const auto& path : document_["paths"]) {
    const auto pattern = path.first.as<std::string>();
    const size_t brace = pattern.find('{');
    std::string target = pattern;
    if (brace != std::string::npos)
      target.replace(brace, pattern.find('}') - brace + 1, "a.service");
    std::set<std::string> allowed;
    for (const auto& [name, value] : Send("OPTIONS", target).headers) {
      if (name == "Allow") allowed = absl::StrSplit(value, ", ");
    }
    std::set<std::string> documented = {"OPTIONS"};
    for (const auto& method : path.second) {
      documented.insert(absl::AsciiStrToUpper(method.first.as<std::string>()));
      if (documented.contains("GET")) documented.insert("HEAD");
    }
    EXPECT_EQ(documented, allowed) << pattern;
  }
}

TEST_F(OpenApiTest, EachOperationSaysWhatItTakesAndAnswers) {
  for (const auto& path : document_["paths"]) {
    const auto pattern = path.first.as<std::string>();
    for (const auto& method : path.second) {
      const YAML::Node operation = method.second;
      const std::string what = method.first.as<std::string>() + " " + pattern;
      EXPECT_FALSE(operation["summary"].as<std::string>("").empty()) << what;
      EXPECT_GE(operation["responses"].size(), 2) << what;
      size_t in_path = 0;
      for (const auto& parameter : operation["parameters"]) {
        if (parameter["in"].as<std::string>() != "path") continue;
        ++in_path;
        EXPECT_TRUE(parameter["required"].as<bool>()) << what;
        EXPECT_TRUE(absl::StrContains(pattern, "{" + parameter["name"].as<std::string>() + "}"));
      }
      EXPECT_EQ(in_path, pattern.find('{') == std::string::npos ? 0 : 1) << what;
    }
  }
}

TEST_F(OpenApiTest, ConditionsAreDocumentedWhereTheyCount) {
  std::set<std::string> conditional;
  for (const auto& path : document_["paths"]) {
    for (const auto& method : path.second) {
      std::set<std::string> headers;
      for (const auto& parameter : method.second["parameters"]) {
        const auto name = parameter["name"].as<std::string>();
        if (parameter["in"].as<std::string>() == "header" && name.starts_with("If-"))
          headers.insert(name);
      }
      if (headers.empty()) continue;
      const std::string what = absl::AsciiStrToUpper(method.first.as<std::string>()) + " " +
                               path.first.as<std::string>();
      conditional.insert(what);
      const bool reads = what.starts_with("GET");
      EXPECT_EQ(headers, reads ? std::set<std::string>{"If-None-Match"}
                               : (std::set<std::string>{"If-Match", "If-None-Match"}))
          << what;
      const YAML::Node responses = method.second["responses"];
      EXPECT_TRUE(responses[reads ? "304" : "412"].IsDefined()) << what;
      EXPECT_TRUE(responses[reads ? "200" : "412"]["headers"]["ETag"].IsDefined()) << what;
    }
  }
  EXPECT_THAT(
      conditional,
      ::testing::UnorderedElementsAre(
          "GET /fleet/v1/units", "GET /fleet/v1/units/{unitName}", "PUT /fleet/v1/units/{unitName}",
          "DELETE /fleet/v1/units/{unitName}", "GET /fleet/v1/state", "GET /fleet/v1/machines",
          "GET /fleet/v1/machines/{machineID}", "PATCH /fleet/v1/machines",
          "POST /fleet/v1/machines/{machineID}/cordon", "POST /fleet/v1/machines/{machineID}/drain",
          "POST /fleet/v1/machines/{machineID}/uncordon", "POST /fleet/v1/units/{unitName}/scale",
          "DELETE /fleet/v1/units/{unitName}/scale", "POST /fleet/v1/units/{unitName}/rollout",
          "GET /fleet/v1/rollouts", "GET /fleet/v1/rollouts/{unitName}",
          "PUT /fleet/v1/rollouts/{unitName}", "POST /fleet/v1/rollouts/{unitName}/pause",
          "POST /fleet/v1/rollouts/{unitName}/resume", "POST /fleet/v1/rollouts/{unitName}/undo"));
}

// Collects what `node` and what is below it refers to.
TEST_F(OpenApiTest, NamesTheHeadersThatRequestsHaveToHaveAndMayHave) {
  std::set<std::string> found;
  for (const auto& path : document_["paths"]) {
    for (const auto& method : path.second) {
      for (const auto& parameter : method.second["parameters"]) {
        const auto name = parameter["name"].as<std::string>();
        if (parameter["in"].as<std::string>() != "header" || name.starts_with("If-")) continue;
        found.insert(fmt::format("{} {}{}", path.first.as<std::string>(), name,
                                 parameter["required"].as<bool>(false) ? " required" : ""));
      }
    }
  }
  EXPECT_THAT(found, ::testing::UnorderedElementsAre(
                         "/v1/pre-reboot fleet-lock-protocol required",
                         "/v1/steady-state fleet-lock-protocol required",
                         "/fleet/v1/events Last-Event-ID", "/fleet/v1/watch Last-Event-ID",
                         "/fleet/v1/units/{unitName}/journal Last-Event-ID"));
}

TEST_F(OpenApiTest, EventsComeAsPagesAndAsAStream) {
  const YAML::Node content =
      document_["paths"]["/fleet/v1/events"]["get"]["responses"]["200"]["content"];
  EXPECT_TRUE(content["application/json"].IsDefined());
  EXPECT_TRUE(content["text/event-stream"].IsDefined());
}

void CollectReferences(const YAML::Node& node, std::set<std::string>& found) {
  if (node.IsMap()) {
    for (const auto& member : node) {
      if (member.first.as<std::string>() == "$ref") found.insert(member.second.as<std::string>());
      CollectReferences(member.second, found);
    }
  } else if (node.IsSequence()) {
    for (const auto& element : node) CollectReferences(element, found);
  }
}

TEST_F(OpenApiTest, EachReferenceIsToASchemaThatIsThere) {
  std::set<std::string> references;
  CollectReferences(document_, references);
  EXPECT_THAT(references, Contains("#/components/schemas/Unit"));
  for (const std::string& reference : references) {
    const std::string name = absl::StrReplaceAll(reference, {{"#/components/schemas/", ""}});
    EXPECT_TRUE(document_["components"]["schemas"][name].IsDefined()) << reference;
  }
  const YAML::Node unit = document_["components"]["schemas"]["Unit"];
  EXPECT_THAT(unit["required"].as<std::vector<std::string>>(), Contains("name"));
  EXPECT_FALSE(unit["properties"]["name"]["required"].IsDefined());
}

}  // namespace
}  // namespace fleet::api
