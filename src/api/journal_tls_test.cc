// Journals of another machine's units, over TLS with certificates of both machines.

#include <fcntl.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "api/api.h"
#include "api/raw_client.h"
#include "api/server.h"
#include "base/descriptor.h"
#include "fmt/core.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "registry/codec.h"
#include "registry/testing/fake_store.h"
#include "registry/view_builder.h"
#include "store/testing/authority.h"

namespace fleet::api {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// Has one entry.
class OneEntry : public JournalReader {
 public:
  OneEntry() {
    int ends[2];
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    out_ = Descriptor(ends[0]);
    const Descriptor in(ends[1]);
    const std::string line = R"({"__CURSOR":"c","MESSAGE":"from afar"})"
                             "\n";
    EXPECT_EQ(write(in.get(), line.data(), line.size()), std::ssize(line));
  }
  int descriptor() const override { return out_.get(); }
  std::optional<absl::Status> Ended() override { return absl::OkStatus(); }

 private:
  Descriptor out_;
};

// The API of a machine, which knows of the machines near and far; far has the unit a.service.
class MachineApi {
 public:
  MachineApi(const std::string& id, const TlsFiles& tls, const std::string& far_endpoint)
      : store_(&server_.executor()) {
    const auto port = server_.Listen("127.0.0.1:0", tls);
    EXPECT_TRUE(port.ok()) << port.status();
    tls_port_ = *port;
    plain_port_ = *server_.Listen("127.0.0.1:0", std::nullopt);
    api_ = std::make_unique<Api>(ApiContext{
        .executor = &server_.executor(),
        .store = &store_,
        .machine_id = id,
        .open_journal = [](const JournalRequest&) { return std::make_unique<OneEntry>(); },
        .streams = &server_.streams()});
    const registry::Keys keys("/fleet/");
    store_.Set(keys.Machine("near"), registry::Encode(MachineRecord{}));
    store_.Set(keys.Machine("far"),
               registry::Encode(MachineRecord{.api_endpoints = {far_endpoint}}));
    store_.Set(keys.Unit("a.service"), registry::Encode(UnitRecord{.uid = "u"}));
    store_.Set(keys.Assignment("far", "a.service"), registry::Encode(Assignment{.uid = "u"}));
    registry::ViewBuilder builder(keys);
    for (const auto& [key, kv] : store_.contents()) builder.Put(kv);
    api_->OnViewChange({.view = builder.Snapshot(store_.revision()), .reset = true});
    server_.Start(api_.get());
  }
  ~MachineApi() { server_.Stop(); }

  std::string endpoint() const { return fmt::format("https://127.0.0.1:{}", tls_port_); }
  std::string Journal() const { return RawGet(plain_port_, "/fleet/v1/units/a.service/journal"); }

 private:
  Server server_;
  registry::testing::FakeStore store_;
  std::unique_ptr<Api> api_;
  uint16_t tls_port_ = 0;
  uint16_t plain_port_ = 0;
};

constexpr char kHere[] = "subjectAltName=IP:127.0.0.1\n";

TlsFiles FilesOf(const store::Authority& authority, const std::string& name,
                 const std::string& extensions = kHere) {
  authority.Issue(name, extensions);
  return {.ca_file = authority.File("ca.pem"),
          .cert_file = authority.File(name + ".pem"),
          .key_file = authority.File(name + ".key")};
}

TEST(JournalOverTls, IsAskedForWithTheMachinesOwnCertificate) {
  const store::Authority authority;
  const MachineApi far("far", FilesOf(authority, "far"), "");
  const MachineApi near("near", FilesOf(authority, "near"), far.endpoint());
  const std::string answer = near.Journal();
  EXPECT_THAT(answer, HasSubstr("HTTP/1.1 200"));
  EXPECT_THAT(answer, HasSubstr(R"("machineID":"far")"));
  EXPECT_THAT(answer, HasSubstr(R"("message":"from afar")"));
  EXPECT_THAT(answer, HasSubstr("event: end"));
}

TEST(JournalOverTls, IsNotGivenToAMachineWithACertificateOfAnotherAuthority) {
  const store::Authority authority;
  const store::Authority other;
  const MachineApi far("far", FilesOf(authority, "far"), "");
  TlsFiles files = FilesOf(other, "near");
  files.ca_file = authority.File("ca.pem");
  const MachineApi near("near", files, far.endpoint());
  const std::string answer = near.Journal();
  EXPECT_THAT(answer, HasSubstr("HTTP/1.1 502"));
  EXPECT_THAT(answer, HasSubstr("machine far cannot be reached: " + far.endpoint()));
  EXPECT_THAT(answer, Not(HasSubstr("from afar")));
}

TEST(JournalOverTls, IsNotTakenFromAServerThatIsNotTheMachine) {
  const store::Authority authority;
  const store::Authority other;
  const MachineApi near_address("far", FilesOf(authority, "far", "subjectAltName=IP:127.0.0.2\n"),
                                "");
  const MachineApi first("near", FilesOf(authority, "near"), near_address.endpoint());
  EXPECT_THAT(first.Journal(), HasSubstr("HTTP/1.1 502"));

  TlsFiles files = FilesOf(other, "far");
  files.ca_file = authority.File("ca.pem");  // it would let the near machine in
  const MachineApi impostor("far", files, "");
  const MachineApi second("near", FilesOf(authority, "near"), impostor.endpoint());
  const std::string answer = second.Journal();
  EXPECT_THAT(answer, HasSubstr("HTTP/1.1 502"));
  EXPECT_THAT(answer, HasSubstr("certificate verify failed"));
}

}  // namespace
}  // namespace fleet::api
