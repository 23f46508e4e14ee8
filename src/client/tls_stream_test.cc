#include <unistd.h>

#include "client/api_client.h"
#include "client/clock.h"
#include "client/fake_tls_server.h"
#include "client/stream.h"
#include "client/text.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fleet::client {
namespace {

using testing::HasSubstr;

constexpr char kRequest[] = "GET / HTTP/1.1\r\n\r\n";

class Tls : public testing::Test {
 protected:
  std::string ca_file_ = Cat(testing::TempDir(), "fleet-tls-", getpid(), ".pem");
  // Longer than a record of TLS and than the buffer of a pipe.
  std::string body_ = Cat(R"({"machines":[{"id":")", std::string(300'000, 'm'), R"("}]})");
  FakeTlsServer server_{ca_file_, body_};
  absl::Time deadline_ = MonotonicNow() + absl::Seconds(20);

  void TearDown() override { unlink(ca_file_.c_str()); }

  // What the server says to a request.
  absl::StatusOr<std::string> Ask(Stream& stream) const {
    if (const absl::Status status = stream.Write(kRequest, deadline_); !status.ok()) return status;
    std::string answer;
    while (!answer.ends_with(body_)) {
      auto bytes = stream.Read(deadline_);
      if (!bytes.ok()) return bytes.status();
      if (bytes->empty()) return absl::DataLossError("the stream ended");
      answer += *bytes;
    }
    return answer;
  }

  absl::StatusOr<std::unique_ptr<Stream>> DialFor(const std::string& endpoint,
                                                  const TlsFiles& files) const {
    return Dial(*ParseEndpoint(endpoint), files, deadline_);
  }
};

TEST_F(Tls, CarriesRequestsToAServerWhoseCertificateIsKnown) {
  const auto stream = DialFor(server_.endpoint(), {.ca_file = ca_file_});
  ASSERT_TRUE(stream.ok()) << stream.status();
  for (int i = 0; i < 2; ++i) {
    const auto answer = Ask(**stream);
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_THAT(*answer, testing::StartsWith("HTTP/1.1 200"));
    EXPECT_TRUE((*stream)->Idle());
  }
}

TEST_F(Tls, RefusesACertificateOfAnotherAuthorityOrName) {
  const auto unknown = DialFor(server_.endpoint(), {});
  EXPECT_TRUE(absl::IsUnavailable(unknown.status()));
  EXPECT_THAT(std::string(MessageOf(unknown.status())),
              HasSubstr("certificate is refused: self-signed certificate; is --ca-file"));
  const auto other = DialFor(Cat("https://localhost:", server_.port()), {.ca_file = ca_file_});
  EXPECT_THAT(std::string(MessageOf(other.status())), HasSubstr("hostname mismatch"));
}

TEST_F(Tls, NamesAFileThatCannotBeRead) {
  const auto stream = DialFor(server_.endpoint(), {.ca_file = "/nonexistent/ca.pem"});
  EXPECT_EQ(MessageOf(stream.status()),
            "cannot read --ca-file /nonexistent/ca.pem: No such file or directory");
}

TEST_F(Tls, AReadThatIsTooLateCanBeRepeated) {
  const auto stream = DialFor(server_.endpoint(), {.ca_file = ca_file_});
  ASSERT_TRUE(stream.ok()) << stream.status();
  EXPECT_TRUE(absl::IsDeadlineExceeded((*stream)->Read(MonotonicNow()).status()));
  EXPECT_TRUE(Ask(**stream).ok());
}

TEST_F(Tls, GoesOverTheStreamsOfACommand) {
  auto below = DialCommand(
      {"bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/$0; cat <&3 & exec cat >&3", server_.port()});
  ASSERT_TRUE(below.ok()) << below.status();
  const auto stream = StartTls(*std::move(below), "127.0.0.1", {.ca_file = ca_file_}, deadline_);
  ASSERT_TRUE(stream.ok()) << stream.status();
  const auto answer = Ask(**stream);
  EXPECT_TRUE(answer.ok()) << answer.status();
}

TEST_F(Tls, IsUsedForHttpsEndpoints) {
  ApiClient client({.endpoints = *ParseEndpoints(server_.endpoint()),
                    .request_timeout = absl::Seconds(20),
                    .tls = {.ca_file = ca_file_}});
  const auto machines = client.ListMachines();
  ASSERT_TRUE(machines.ok()) << machines.status();
  EXPECT_EQ((*machines)[0].id.size(), 300'000U);
}

TEST_F(Tls, AServerThatRefusesTheClientsCertificateIsNotConnectedTo) {
  const std::string file = ca_file_ + ".mutual";
  const FakeTlsServer mutual(file, R"({"machines":[]})", true);
  const auto ask = [&](const std::string& cert_file) {
    ApiClient client({.endpoints = *ParseEndpoints(mutual.endpoint()),
                      .request_timeout = absl::Seconds(20),
                      .tls = {.ca_file = file, .cert_file = cert_file}});
    return client.ListMachines().status();
  };
  EXPECT_TRUE(ask(file).ok()) << ask(file);
  EXPECT_TRUE(IsNotConnected(ask("")));
  EXPECT_THAT(
      std::string(MessageOf(ask(""))),
      HasSubstr("the server wants a client certificate (tlsv13 alert certificate required): "
                "name yours with --cert-file"));
  EXPECT_TRUE(IsNotConnected(ask(ca_file_)));
  EXPECT_THAT(std::string(MessageOf(ask(ca_file_))),
              HasSubstr(Cat("the server refuses the client certificate ", ca_file_, " (")));
  unlink(file.c_str());
}

TEST(StartTls, SaysThatTheServerClosedTheConnection) {
  auto below = DialCommand({"true"});
  ASSERT_TRUE(below.ok()) << below.status();
  const auto stream = StartTls(*std::move(below), "h", {}, MonotonicNow() + absl::Seconds(20));
  EXPECT_TRUE(absl::IsUnavailable(stream.status())) << stream.status();
}

}  // namespace
}  // namespace fleet::client
