#include "fleetd/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "fleetd/config_keys.h"

namespace fleet::fleetd {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::Pair;
using ::testing::StartsWith;

constexpr char kPath[] = "fleet.conf";

Config Parse(absl::string_view text, const Environment& environment = {}) {
  const auto loaded = ParseConfig(text, kPath, environment);
  EXPECT_TRUE(loaded.ok()) << loaded.status();
  return loaded.ok() ? loaded->config : Config();
}

std::string Mistakes(absl::string_view text, const Environment& environment = {}) {
  const auto loaded = ParseConfig(text, kPath, environment);
  EXPECT_EQ(loaded.status().code(), absl::StatusCode::kInvalidArgument) << text;
  return std::string(loaded.status().message());
}

std::vector<std::string> Notices(absl::string_view text, const Environment& environment = {}) {
  const auto loaded = ParseConfig(text, kPath, environment);
  EXPECT_TRUE(loaded.ok()) << loaded.status();
  return loaded.ok() ? loaded->notices : std::vector<std::string>();
}

TEST(Config, HasTheDocumentedDefaults) {
  const Config config = Parse("");
  EXPECT_EQ(config, Config());
  EXPECT_THAT(config.etcd_servers, IsEmpty());
  EXPECT_EQ(config.etcd_key_prefix, "/fleet/");
  EXPECT_EQ(config.agent_ttl, absl::Seconds(10));
  EXPECT_EQ(config.engine_ttl, absl::Seconds(10));
  EXPECT_EQ(config.token_limit, 100);
  EXPECT_EQ(config.units_directory, "/run/fleet/units/");
  EXPECT_EQ(config.state_directory, "/var/lib/fleet/");
  EXPECT_EQ(config.mass_loss_hold, absl::Seconds(60));
  EXPECT_EQ(config.isolation_stop_timeout, absl::Seconds(5));
  EXPECT_EQ(config.leave_timeout, absl::Seconds(60));
  EXPECT_EQ(config.events_max, 10000);
  EXPECT_EQ(config.disruption_budget, (Budget{1, false}));
  EXPECT_EQ(config.reboot_slots, 1);
  EXPECT_EQ(config.capacity_cpu, 0);
  EXPECT_EQ(config.capacity_memory, 0);
}

TEST(Config, ReadsAFileOfFleet1) {
  const Config config = Parse(R"(
# verbosity=0
verbosity = 2
etcd_servers=["http://10.0.0.1:2379", "http://10.0.0.2:2379"]
etcd_request_timeout=1.5
etcd_key_prefix=/_coreos.com/fleet/
public_ip="10.0.0.7"
metadata="region=us,az=1"
agent_ttl="30s"
engine_reconcile_interval=2
token_limit=50
disable_engine=false
)");
  EXPECT_EQ(config.verbosity, 2);
  EXPECT_THAT(config.etcd_servers, ElementsAre("http://10.0.0.1:2379", "http://10.0.0.2:2379"));
  EXPECT_EQ(config.etcd_request_timeout, absl::Milliseconds(1500));
  EXPECT_EQ(config.etcd_key_prefix, "/_coreos.com/fleet/");
  EXPECT_EQ(config.public_ip, "10.0.0.7");
  EXPECT_THAT(config.metadata, ElementsAre(Pair("az", "1"), Pair("region", "us")));
  EXPECT_EQ(config.agent_ttl, absl::Seconds(30));
  EXPECT_EQ(config.engine_reconcile_interval, absl::Seconds(2));
  EXPECT_EQ(config.token_limit, 50);
  EXPECT_FALSE(config.disable_engine);
}

TEST(Config, ReadsEveryFormOfAList) {
  for (const char* list :
       {R"(["http://a:1","http://b:2"])", R"(['http://a:1', http://b:2,])", "http://a:1,http://b:2",
        R"("http://a:1, http://b:2")", R"([ "http://a:1" , "http://b:2" ]  # two)"}) {
    EXPECT_THAT(Parse(absl::StrCat("etcd_servers=", list)).etcd_servers,
                ElementsAre("http://a:1", "http://b:2"))
        << list;
  }
}

TEST(Config, ReadsEveryFormOfQuoting) {
  const auto password = [](absl::string_view value) {
    return Parse(absl::StrCat("etcd_username=u\netcd_password=", value)).etcd_password;
  };
  EXPECT_EQ(password("plain"), "plain");
  EXPECT_EQ(password("with=equals;and#hash"), "with=equals;and#hash");
  EXPECT_EQ(password("plain  # a comment"), "plain");
  EXPECT_EQ(password(R"("a # b")"), "a # b");
  EXPECT_EQ(password(R"('a\"b')"), R"(a\"b)");
  EXPECT_EQ(password(R"("a\"b\\c\d")"), R"(a"b\c\d)");
  EXPECT_EQ(password(R"("quoted" # a comment)"), "quoted");
  EXPECT_EQ(password("windows\r"), "windows");
}

TEST(Config, TheEnvironmentWinsOverTheFile) {
  const auto loaded = ParseConfig("metadata=a=1\nagent_ttl=20s", kPath,
                                  {{"FLEET_METADATA", "a=2"}, {"PATH", "/bin"}});
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_THAT(loaded->config.metadata, ElementsAre(Pair("a", "2")));
  EXPECT_EQ(loaded->config.agent_ttl, absl::Seconds(20));
  EXPECT_EQ(loaded->origins.at("metadata"), "environment");
  EXPECT_EQ(loaded->origins.at("agent_ttl"), "fleet.conf:2");
  EXPECT_FALSE(loaded->origins.contains("token_limit"));
}

TEST(Config, TakesTheEnvironmentsValuesWithoutLookingForComments) {
  const Config config = Parse("", {{"FLEET_ETCD_USERNAME", "u"}, {"FLEET_ETCD_PASSWORD", "a # b"}});
  EXPECT_EQ(config.etcd_password, "a # b");
}

TEST(Config, AnEmptyValuePutsAKeyBackToItsDefault) {
  EXPECT_EQ(Parse("agent_ttl=30s\nagent_ttl=").agent_ttl, absl::Seconds(10));
  EXPECT_THAT(Parse("etcd_servers=http://a:1", {{"FLEET_ETCD_SERVERS", ""}}).etcd_servers,
              IsEmpty());
  EXPECT_EQ(Parse(R"(public_ip="")").public_ip, "");
}

TEST(Config, EngineTtlFollowsAgentTtlUnlessItIsSet) {
  EXPECT_EQ(Parse("agent_ttl=30s").engine_ttl, absl::Seconds(30));
  EXPECT_EQ(Parse("engine_ttl=4s\nagent_ttl=30s").engine_ttl, absl::Seconds(4));
}

TEST(Config, AKeyPrefixGetsItsSlashes) {
  for (const char* prefix : {"a/b", "/a/b", "a/b/", "/a/b/"}) {
    EXPECT_EQ(Parse(absl::StrCat("etcd_key_prefix=", prefix)).etcd_key_prefix, "/a/b/") << prefix;
  }
}

TEST(Config, ADirectoryEndsWithASlash) {
  EXPECT_EQ(Parse("units_directory=/run/x").units_directory, "/run/x/");
  EXPECT_EQ(Parse("units_directory=/run/x/").units_directory, "/run/x/");
  EXPECT_THAT(Mistakes("state_directory=var/x"), HasSubstr("not an absolute path"));
}

TEST(Config, AServerGetsItsPort) {
  EXPECT_THAT(Parse("etcd_servers=https://a, https://[::1]/,https://b:1/").etcd_servers,
              ElementsAre("https://a:2379", "https://[::1]:2379", "https://b:1"));
  for (const char* bad : {"10.0.0.1:2379", "ftp://a", "http://", "http://a:0", "http://a/b"}) {
    EXPECT_THAT(Mistakes(absl::StrCat("etcd_servers=", bad)), HasSubstr("is not a URL")) << bad;
  }
  EXPECT_THAT(Mistakes("etcd_servers=http://a,https://b"), HasSubstr("both http and https"));
}

TEST(Config, ReadsOurTypes) {
  const Config config = Parse(R"(
disruption_budget=25%
capacity_cpu=350%
capacity_memory=16G
reserved_cpu=50%
reserved_memory=1.5G
placement=pack
rebalance=auto
drift=restore
mass_loss_hold=1m30s
)");
  EXPECT_EQ(config.disruption_budget, (Budget{25, true}));
  EXPECT_EQ(config.capacity_cpu, 3500);
  EXPECT_EQ(config.capacity_memory, int64_t{16} << 30);
  EXPECT_EQ(config.reserved_cpu, 500);
  EXPECT_EQ(config.reserved_memory, int64_t{3} << 29);
  EXPECT_EQ(config.placement, Placement::kPack);
  EXPECT_EQ(config.rebalance, Rebalance::kAuto);
  EXPECT_EQ(config.drift, Drift::kRestore);
  EXPECT_EQ(config.mass_loss_hold, absl::Seconds(90));
  EXPECT_EQ(Parse("reserved_cpu=1.5").reserved_cpu, 1500);
}

TEST(Config, RefusesValuesOfTheWrongKind) {
  for (const char* line :
       {"verbosity=loud",          "verbosity=-1",           "agent_ttl=soon",
        "agent_ttl=1999ms",        "engine_ttl=1",           "etcd_request_timeout=0",
        "etcd_request_timeout=-1", "token_limit=0",          "token_limit=1.5",
        "disable_engine=maybe",    "metadata=region",        "metadata==us",
        "metadata=a=1,a=2",        "public_ip=10.0.0.1:80",  "public_ip=$public_ipv4",
        "disruption_budget=0",     "disruption_budget=101%", "disruption_budget=x",
        "reserved_cpu=-1",         "reserved_cpu=x",         "reserved_memory=lots",
        "capacity_cpu=-1",         "capacity_cpu=1000001",   "capacity_memory=8388608T",
        "placement=Spread",        "rebalance=on",           "drift=fix",
        "reboot_slots=0",          "events_max=0",           "mass_loss_hold=-5s"}) {
    const std::string key(absl::string_view(line).substr(0, absl::string_view(line).find('=')));
    EXPECT_THAT(Mistakes(line), StartsWith(absl::StrCat("fleet.conf:1: ", key, ": "))) << line;
  }
}

TEST(Config, NamesTheLineAndTheNearestKeyOfAnUnknownOne) {
  EXPECT_EQ(Mistakes("\n# x\netcd_server=http://a:1"),
            "fleet.conf:3: unknown key \"etcd_server\"; did you mean \"etcd_servers\"?");
  EXPECT_EQ(Mistakes("completely_different=1"),
            "fleet.conf:1: unknown key \"completely_different\"");
}

TEST(Config, ReportsEveryMistakeAtOnce) {
  const std::vector<std::string> lines = absl::StrSplit(
      Mistakes("agent_ttl=1s\n[section]\nno equals sign\n=value\netcd_username=\"open",
               {{"FLEET_TOKEN_LIMIT", "x"}}),
      '\n');
  EXPECT_THAT(lines, ElementsAre(StartsWith("fleet.conf:1: agent_ttl: \"1s\" is less than 2s"),
                                 StartsWith("fleet.conf:2: the line is a section header"),
                                 StartsWith("fleet.conf:3: the line is not of the form key=value"),
                                 StartsWith("fleet.conf:4: the line is not of the form key=value"),
                                 HasSubstr("etcd_username: has a \" that is not closed"),
                                 StartsWith("environment: FLEET_TOKEN_LIMIT: token_limit: \"x\"")));
}

TEST(Config, TakesNoticeOfKeysWithoutEffect) {
  EXPECT_THAT(Notices("disable_watches=true\nenable_grpc=true\nauthorized_keys_file=~/.ssh/x"),
              ElementsAre("fleet.conf:1: disable_watches has no effect any more",
                          "fleet.conf:2: enable_grpc has no effect any more",
                          "fleet.conf:3: authorized_keys_file has no effect any more"));
}

TEST(Config, TakesNoticeOfAKeyGivenTwiceAndUsesTheLast) {
  EXPECT_THAT(Notices("token_limit=1\ntoken_limit=2"),
              ElementsAre("fleet.conf:2: token_limit replaces the value of fleet.conf:1"));
  EXPECT_EQ(Parse("token_limit=1\ntoken_limit=2").token_limit, 2);
}

TEST(Config, AForeignVariableOfTheEnvironmentIsNoError) {
  EXPECT_THAT(Notices("", {{"FLEET_METADAT", "a=1"}}),
              ElementsAre("environment: FLEET_METADAT is no key of fleetd; did you mean "
                          "\"metadata\"?"));
  EXPECT_THAT(Notices("", {{"FLEETCTL_ENDPOINT", "x"}}), IsEmpty());
}

TEST(Config, ReadsListenAddresses) {
  const Config config = Parse("listen=127.0.0.1:80,localhost:81,[::1]:82");
  EXPECT_THAT(config.listen, ElementsAre(ListenAddress{"127.0.0.1", 80},
                                         ListenAddress{"127.0.0.1", 81}, ListenAddress{"::1", 82}));
  EXPECT_THAT(Parse("listen_insecure=1\nlisten=:49153").listen,
              ElementsAre(ListenAddress{"0.0.0.0", 49153}));
  for (const char* bad :
       {"127.0.0.1", "127.0.0.1:0", "127.0.0.1:65536", "example.com:80", "::1:80"}) {
    EXPECT_THAT(Mistakes(absl::StrCat("listen=", bad)), StartsWith("fleet.conf:1: listen: "))
        << bad;
  }
}

TEST(Config, AnAddressThatIsNotLoopbackNeedsClientCertificates) {
  constexpr absl::string_view kListen = "listen=127.0.0.1:80,10.0.0.1:80\n";
  EXPECT_THAT(Mistakes(kListen), AllOf(HasSubstr("10.0.0.1:80"), HasSubstr("listen_insecure")));
  EXPECT_THAT(Mistakes(absl::StrCat(kListen, "listen_certfile=/c\nlisten_keyfile=/k")),
              HasSubstr("clients need no certificate"));
  EXPECT_THAT(
      Notices(absl::StrCat(kListen, "listen_cafile=/a\nlisten_certfile=/c\nlisten_keyfile=/k")),
      IsEmpty());
  EXPECT_THAT(Notices(absl::StrCat(kListen, "listen_insecure=true")),
              ElementsAre(HasSubstr("whoever reaches it controls the cluster")));
  EXPECT_THAT(Notices("listen=127.0.0.1:80"), IsEmpty());
}

TEST(Config, KeysThatBelongTogetherAreSetTogether) {
  EXPECT_THAT(Mistakes("etcd_certfile=/c"), HasSubstr("without etcd_keyfile"));
  EXPECT_THAT(Mistakes("listen_keyfile=/k"), HasSubstr("without listen_certfile"));
  EXPECT_THAT(Mistakes("listen_cafile=/a"), HasSubstr("without listen_certfile"));
  for (const char* listen : {"listen=127.0.0.1:80\n", "listen=:80\nlisten_insecure=true\n"}) {
    EXPECT_THAT(Mistakes(absl::StrCat(listen, "listen_certfile=/c\nlisten_keyfile=/k")),
                HasSubstr("listen_certfile is set without listen_cafile"));
  }
  EXPECT_THAT(Mistakes("etcd_username=u"), HasSubstr("without etcd_password"));
}

TEST(Config, NeverShowsASecret) {
  constexpr absl::string_view kText = "etcd_username=u\netcd_password=\"hunter2\"";
  const auto loaded = ParseConfig(kText, kPath, {});
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ(loaded->config.etcd_password, "hunter2");
  EXPECT_THAT(CheckConfigText(*loaded), Not(HasSubstr("hunter2")));
  EXPECT_THAT(CheckConfigText(*loaded), HasSubstr("fleet.conf:2"));
  EXPECT_THAT(Mistakes("etcd_username=u\netcd_password=\"hunter2"), Not(HasSubstr("hunter2")));
  EXPECT_THAT(Mistakes("etcd_password=hunter2"), Not(HasSubstr("hunter2")));
  EXPECT_THAT(Mistakes("etcd_servers=http://root:hunter2@a:1"), Not(HasSubstr("hunter2")));
}

TEST(Config, TheCheckedTextSaysWhereEachValueCameFrom) {
  const auto loaded = ParseConfig("\nagent_ttl=1m30s", kPath, {{"FLEET_METADATA", "region=us"}});
  ASSERT_TRUE(loaded.ok());
  const std::string text = CheckConfigText(*loaded);
  EXPECT_THAT(text, testing::ContainsRegex("\nagent_ttl=1m30s +# fleet.conf:2\n"));
  EXPECT_THAT(text, testing::ContainsRegex("\nmetadata=region=us +# environment\n"));
  EXPECT_THAT(text, testing::ContainsRegex("\ntoken_limit=100 +# default\n"));
}

TEST(Config, TheCheckedTextReadsBackAsTheSameConfiguration) {
  const auto loaded = ParseConfig(R"(
verbosity=1
etcd_servers=https://a,https://b
etcd_key_prefix="/with space/#1/"
etcd_request_timeout=0.25
metadata="region=us east,az=1"
listen=["127.0.0.1:80","[::1]:81"]
agent_ttl=2.5s
capacity_cpu=1.125
capacity_memory=3G
reserved_cpu=0.25
reserved_memory=1536M
disruption_budget=30%
placement=pack
)",
                                  kPath, {});
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(Parse(CheckConfigText(*loaded)), loaded->config);
}

TEST(Config, TheCheckedTextLosesNoDigitCommaOrBlank) {
  const auto loaded = ParseConfig(
      "engine_reconcile_interval=1.23456789\n"
      "etcd_request_timeout=1000000000.000000001\n"
      "reserved_cpu=1234.567\n"
      "metadata=[\"a=b,c\", \"d=e\"]\n"
      "etcd_username=\"\ra\"\n"
      "etcd_password=\"(not shown)\"\n",
      kPath, {});
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(Parse(CheckConfigText(*loaded)), loaded->config);
}

TEST(Config, EveryKeyHasANameOfItsOwnADocumentationAndAReadableDefault) {
  std::set<absl::string_view> names;
  for (const ConfigKey& key : ConfigKeys()) {
    EXPECT_TRUE(names.insert(key.name).second) << key.name;
    EXPECT_NE(key.doc, "") << key.name;
    EXPECT_NE(key.type, "") << key.name;
    EXPECT_EQ(FindConfigKey(key.name), &key);
    const std::string text = key.get(Config());
    Config config;
    if (!text.empty()) {
      EXPECT_TRUE(key.set(config, text).ok()) << key.name << "=" << text;
    }
    EXPECT_EQ(config, Config()) << key.name;
  }
}

// The file that is shipped, its commented settings taken as if they were set.
TEST(Config, TheShippedFileShowsEveryKeyAndIsAccepted) {
  std::ifstream file(FLEET_PACKAGING_DIR "/fleet.conf");
  ASSERT_TRUE(file);
  std::string settings;
  for (std::string line; std::getline(file, line);) {
    const bool setting = line.size() > 1 && line[0] == '#' && line[1] != ' ';
    if (setting) absl::StrAppend(&settings, line.substr(1), "\n");
  }
  const auto loaded = ParseConfig(settings, kPath, {});
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  for (const ConfigKey& key : ConfigKeys()) {
    EXPECT_NE(loaded->origins.contains(std::string(key.name)), key.ignored) << key.name;
  }
}

TEST(Config, TellsWhatOnlyARestartChanges) {
  const Config running = Parse("metadata=a=1\nverbosity=0\nagent_ttl=10s");
  const Config reread = Parse(
      "metadata=a=2\nverbosity=1\nagent_ttl=20s\ndisable_watches=true\ncapacity_cpu=1\n"
      "capacity_memory=1G\nreserved_cpu=50%\nreserved_memory=1M");
  EXPECT_THAT(KeysThatNeedARestart(running, reread), ElementsAre("agent_ttl", "engine_ttl"));
}

// A directory of its own for each test that needs files.
class ConfigFile : public testing::Test {
 public:
  ~ConfigFile() override { std::filesystem::remove_all(directory_); }

 protected:
  ConfigFile() {
    std::string name = testing::TempDir() + "config_test.XXXXXX";
    directory_ = mkdtemp(name.data());
  }

  std::string Write(const std::string& name, absl::string_view text) const {
    std::ofstream(directory_ / name) << text;
    return directory_ / name;
  }
  std::string Missing() const { return directory_ / "missing"; }

 private:
  std::filesystem::path directory_;
};

TEST_F(ConfigFile, IsReadWithTheEnvironment) {
  const auto loaded =
      LoadConfig(Write("fleet.conf", "agent_ttl=20s"), true, {{"FLEET_VERBOSITY", "1"}});
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->config.agent_ttl, absl::Seconds(20));
  EXPECT_EQ(loaded->config.verbosity, 1);
}

TEST_F(ConfigFile, MayBeMissingUnlessTheUserNamedIt) {
  const auto loaded = LoadConfig(Missing(), false, {{"FLEET_VERBOSITY", "1"}});
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->config.verbosity, 1);
  const auto named = LoadConfig(Missing(), true, {});
  EXPECT_EQ(named.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(named.status().message()), HasSubstr(Missing()));
}

TEST_F(ConfigFile, IsNoDirectory) {
  const auto loaded = LoadConfig(testing::TempDir(), false, {});
  EXPECT_THAT(std::string(loaded.status().message()), HasSubstr("Is a directory"));
}

TEST_F(ConfigFile, NamesOnlyFilesThatAreThere) {
  const auto loaded = LoadConfig(
      Write("fleet.conf", absl::StrCat("etcd_servers=https://a\netcd_cafile=", Missing())), true,
      {});
  EXPECT_EQ(loaded.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(loaded.status().message()), HasSubstr("etcd_cafile"));
}

TEST_F(ConfigFile, WithAPasswordIsNotForEverybodysEyes) {
  const std::string path = Write("fleet.conf", "etcd_username=u\netcd_password=p");
  std::filesystem::permissions(path, std::filesystem::perms{0644});
  auto loaded = LoadConfig(path, true, {});
  ASSERT_TRUE(loaded.ok());
  EXPECT_THAT(loaded->notices, ElementsAre(HasSubstr("chmod")));
  std::filesystem::permissions(path, std::filesystem::perms{0600});
  loaded = LoadConfig(path, true, {});
  ASSERT_TRUE(loaded.ok());
  EXPECT_THAT(loaded->notices, IsEmpty());
}

TEST(Environment, HasTheProcessesVariables) {
  ASSERT_EQ(setenv("FLEET_CONFIG_TEST", "a=b", 1), 0);
  EXPECT_EQ(ReadEnvironment()["FLEET_CONFIG_TEST"], "a=b");
}

}  // namespace
}  // namespace fleet::fleetd
