#include "api/router.h"

#include <string>
#include <utility>
#include <vector>

#include "api/json_writer.h"
#include "api/page.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fleet::api {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class RouterTest : public ::testing::Test {
 protected:
  RouterTest() {
    for (const char* method : {"GET", "PUT"}) {
      router_.Add({.method = method,
                   .pattern = "/things/{name}",
                   .max_body = 10,
                   .handler = [this](Request request, Responder respond) {
                     seen_ = std::move(request);
                     respond(JsonResponse(200, "{}"));
                   }});
    }
    router_.Add(
        {.method = "POST", .pattern = "/things", .handler = [](const Request&, Responder respond) {
           respond(JsonResponse(200, "{}"));
         }});
    router_.Add({.method = "GET",
                 .pattern = "/things/{name}/parts",
                 .handler = [this](Request request, Responder respond) {
                   seen_ = std::move(request);
                   respond(JsonResponse(200, "parts"));
                 }});
  }

  Response Send(Request request) {
    Response got;
    got.code = 0;
    router_.Dispatch(std::move(request), [&](Response response) { got = std::move(response); });
    return got;
  }
  Response Send(const std::string& method, const std::string& target) {
    Request request;
    request.method = method;
    request.target = target;
    return Send(std::move(request));
  }
  static std::string AllowOf(const Response& response) {
    for (const auto& [name, value] : response.headers) {
      if (name == "Allow") return value;
    }
    return "";
  }

  Router router_;
  Request seen_;
};

TEST_F(RouterTest, APathMayGoOnAfterItsParameter) {
  EXPECT_EQ(Send("GET", "/things/a%2fb/parts").body, "parts");
  EXPECT_EQ(seen_.path_parameter, "a/b");
  EXPECT_EQ(Send("GET", "/things/parts").body, "{}");
  EXPECT_EQ(Send("GET", "/things//parts").code, 404);
  EXPECT_EQ(Send("GET", "/things/a/b/parts").code, 404);
  EXPECT_EQ(AllowOf(Send("PUT", "/things/a/parts")), "GET, HEAD, OPTIONS");
}

TEST_F(RouterTest, DecodesThePathParameterAndTheQuery) {
  EXPECT_EQ(Send("GET", "/things/a%40b%5cc.service?x=1%262&y=a+b&x=3&flag").code, 200);
  EXPECT_EQ(seen_.path_parameter, "a@b\\c.service");
  EXPECT_THAT(seen_.query.GetAll("x"), ElementsAre("1&2", "3"));
  EXPECT_EQ(seen_.query.Get("y"), "a b");
  EXPECT_TRUE(seen_.query.IsTrue("flag"));
  EXPECT_FALSE(seen_.query.IsTrue("x"));
}

TEST_F(RouterTest, APlusInAPathIsAPlus) {
  Send("GET", "/things/a+b");
  EXPECT_EQ(seen_.path_parameter, "a+b");
}

TEST_F(RouterTest, AnEncodedSlashDoesNotDivideThePath) {
  EXPECT_EQ(Send("GET", "/things/a%2Fb").code, 200);
  EXPECT_EQ(seen_.path_parameter, "a/b");
  EXPECT_EQ(Send("GET", "/things/a/b").code, 404);
}

TEST_F(RouterTest, UnknownPathsAreNotFound) {
  for (const char* target : {"/", "/nothing", "/things/", "/thing", "*"}) {
    EXPECT_EQ(Send("GET", target).code, 404) << target;
  }
}

TEST_F(RouterTest, TakesTheAddressInAbsoluteForm) {
  EXPECT_EQ(Send("GET", "http://host:80/things/a").code, 200);
  EXPECT_EQ(Send("GET", "http://host").code, 404);
}

TEST_F(RouterTest, BrokenEscapesAreBadRequests) {
  for (const char* target :
       {"/things/%", "/things/%4", "/things/%zz", "/things/a%00b", "/things/a?x=%f"}) {
    EXPECT_EQ(Send("GET", target).code, 400) << target;
  }
}

TEST_F(RouterTest, OtherMethodsAreNotAllowedAndTheAllowedOnesNamed) {
  const Response response = Send("DELETE", "/things/a");
  EXPECT_EQ(response.code, 405);
  EXPECT_EQ(AllowOf(response), "GET, HEAD, OPTIONS, PUT");
  EXPECT_EQ(AllowOf(Send("GET", "/things")), "OPTIONS, POST");
}

TEST_F(RouterTest, AnswersOptions) {
  const Response response = Send("OPTIONS", "/things/a");
  EXPECT_EQ(response.code, 204);
  EXPECT_EQ(AllowOf(response), "GET, HEAD, OPTIONS, PUT");
}

TEST_F(RouterTest, TakesJsonOrNoContentTypeOnly) {
  Request request;
  request.method = "PUT";
  request.target = "/things/a";
  EXPECT_EQ(Send(request).code, 200);
  request.content_type = "Application/JSON; charset=utf-8";
  EXPECT_EQ(Send(request).code, 200);
  request.content_type = "application/x-www-form-urlencoded";
  EXPECT_EQ(Send(request).code, 415);
}

TEST_F(RouterTest, PagesOfOtherSitesMayNotChangeAnything) {
  Request request;
  request.method = "PUT";
  request.target = "/things/a";
  request.host = "node1:49153";
  request.origin = "http://evil.example";
  EXPECT_EQ(Send(request).code, 403);
  request.origin = "http://node1:49153";
  EXPECT_EQ(Send(request).code, 200);
}

TEST_F(RouterTest, KnowsHowMuchARouteTakes) {
  EXPECT_EQ(router_.MaxBody("PUT", "/things/a?x"), 10U);
  EXPECT_EQ(router_.MaxBody("PUT", "/nothing"), size_t{1} << 20);
}

TEST(Errors, AreJsonWithCodeAndMessage) {
  const Response response = ErrorResponse(absl::NotFoundError("no \"x\""));
  EXPECT_EQ(response.code, 404);
  EXPECT_EQ(response.content_type, "application/json");
  EXPECT_EQ(response.body, R"({"error":{"code":404,"message":"no \"x\""}})");
}

TEST(Errors, AnUnreachableRegistryMayBeTriedAgain) {
  const Response response = ErrorResponse(503, "away");
  ASSERT_EQ(response.headers.size(), 1U);
  EXPECT_EQ(response.headers[0].first, "Retry-After");
}

TEST(JsonWriter, EscapesAndKeepsUtf8) {
  JsonWriter json;
  json.String("a\"\\\n\t\x01\x7F\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80");
  EXPECT_EQ(json.text(), "\"a\\\"\\\\\\n\\t\\u0001\\u007f\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80\"");
}

TEST(JsonWriter, ReplacesWhatIsNotUtf8) {
  for (const std::string bad : {"\xFF", "\xC0", "\x80", "\xC3"}) {
    JsonWriter json;
    json.String("a" + bad + "b");
    EXPECT_EQ(json.text(),
              "\"a\xEF\xBF\xBD"
              "b\"");
  }
  JsonWriter surrogate;
  surrogate.String("\xED\xA0\x80");
  EXPECT_THAT(surrogate.text(), HasSubstr("\xEF\xBF\xBD"));
}

using Items = std::vector<std::pair<std::string, std::string>>;

TEST(Pages, TheTokenCarriesSizeAndFilters) {
  const Query first({{"limit", "7"}, {"unitName", "a b"}, {"machineID", ""}});
  auto page = ReadPageRequest(first, "state", {"unitName", "machineID"}, 100);
  ASSERT_TRUE(page.ok());
  const std::string token = NextPageToken(*page, "state", "x.service", "m1");
  auto next = ReadPageRequest(Query(Items{{"nextPageToken", token}}), "state",
                              {"unitName", "machineID"}, 100);
  ASSERT_TRUE(next.ok()) << next.status();
  EXPECT_EQ(next->size, 7U);
  EXPECT_EQ(next->next_unit, "x.service");
  EXPECT_EQ(next->next_machine, "m1");
  EXPECT_EQ(next->filters.at("unitName"), "a b");
  EXPECT_EQ(next->filters.count("machineID"), 0U);
}

TEST(Pages, ATokenOfAnotherListOrNoneAtAllIsRefused) {
  const std::string token = NextPageToken({.size = 5}, "units", "a");
  for (const std::string& bad :
       {token, std::string("bogus"), std::string("!"), token.substr(0, token.size() / 2)}) {
    EXPECT_TRUE(absl::IsInvalidArgument(
        ReadPageRequest(Query(Items{{"nextPageToken", bad}}), "state", {}, 100).status()))
        << bad;
  }
}

TEST(Pages, TheLimitHasBounds) {
  EXPECT_FALSE(ReadPageRequest(Query(Items{{"limit", "0"}}), "units", {}, 100).ok());
  EXPECT_FALSE(ReadPageRequest(Query(Items{{"limit", "x"}}), "units", {}, 100).ok());
  EXPECT_EQ(ReadPageRequest(Query(Items{{"limit", "999999"}}), "units", {}, 100)->size,
            kMaxPageSize);
  EXPECT_EQ(ReadPageRequest(Query(), "units", {}, 100)->size, 100U);
}

}  // namespace
}  // namespace fleet::api
