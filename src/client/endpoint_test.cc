#include "client/endpoint.h"

#include "gtest/gtest.h"

namespace fleet::client {
namespace {

TEST(Endpoint, ReadsUnixSockets) {
  const auto endpoint = ParseEndpoint("unix:///var/run/fleet.sock");
  ASSERT_TRUE(endpoint.ok());
  EXPECT_EQ(endpoint->scheme, Endpoint::Scheme::kUnix);
  EXPECT_EQ(endpoint->path, "/var/run/fleet.sock");
  EXPECT_EQ(endpoint->Authority(), "localhost");
}

TEST(Endpoint, ReadsHostsPortsAndBracketedAddresses) {
  EXPECT_EQ(ParseEndpoint("http://10.0.0.1:49153/")->Authority(), "10.0.0.1:49153");
  EXPECT_EQ(ParseEndpoint("http://node")->port, "80");
  EXPECT_EQ(ParseEndpoint("https://node")->port, "443");
  const auto v6 = ParseEndpoint("https://[fd00::1]:8443");
  ASSERT_TRUE(v6.ok());
  EXPECT_EQ(v6->host, "fd00::1");
  EXPECT_EQ(v6->Authority(), "[fd00::1]:8443");
}

TEST(Endpoint, RefusesWhatCannotBeConnectedTo) {
  for (const char* text : {"", "fleet.sock", "unix://fleet.sock", "unix:///", "ftp://a", "http://",
                           "http://a:b", "http://a:99999", "http://a:1/path", "http://[::1"}) {
    EXPECT_FALSE(ParseEndpoint(text).ok()) << text;
  }
}

TEST(Endpoint, ListsKeepTheirOrder) {
  const auto endpoints = ParseEndpoints("http://b:1, unix:///a");
  ASSERT_TRUE(endpoints.ok());
  ASSERT_EQ(endpoints->size(), 2U);
  EXPECT_EQ((*endpoints)[0].host, "b");
  EXPECT_EQ((*endpoints)[1].path, "/a");
  EXPECT_FALSE(ParseEndpoints(" , ").ok());
}

}  // namespace
}  // namespace fleet::client
