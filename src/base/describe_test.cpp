#include "base/describe.h"

#include <gtest/gtest.h>

#include <limits>

#include "base/rng.h"
#include "base/testing/random_document.h"

namespace trainyard {
namespace {

struct Wheel {
  std::string maker;
  double diameter = 0.5;

  void describe(FieldVisitor& fields) {
    fields.field("maker", maker, "Who made it.");
    fields.required();
    fields.field("diameter", diameter, {.min = 0.1, .max = 3}, "Diameter in metres.");
  }
};

/// Has a field of every type.
struct Wagon {
  bool braked = true;
  std::int64_t axles = 2;
  std::int64_t cargo = 0;
  double load = 0.25;
  std::string name = "unnamed";
  Duration interval{60'000'000};
  ByteSize memory{512LL << 20};
  MilliCpu cpu{1000};
  std::vector<std::string> tags;
  std::map<std::string, std::string> env;
  Document config;
  std::string kind = "open";
  Wheel spare{"none", 0.5};
  std::vector<Wheel> wheels;

  void describe(FieldVisitor& fields) {
    fields.field("braked", braked, "Has brakes.");
    fields.field("axles", axles, {.min = 1, .max = 12}, "Number of axles.");
    fields.field("cargo", cargo, {}, "Any number.");
    fields.field("load", load, {.min = 0}, "Load.");
    fields.field("name", name, "A name.");
    fields.field("interval", interval, "Time between checks.");
    fields.field("memory", memory, "Memory.");
    fields.field("cpu", cpu, "Cores.");
    fields.field("tags", tags, "Tags.");
    fields.field("env", env, "Variables.");
    fields.field("config", config, "Anything.");
    fields.choice("kind", kind, {"open", "closed", "tank"}, "Kind of wagon.");
    fields.field("spare", spare, "The spare wheel.");
    fields.field("wheels", wheels, "All wheels.");
  }
};

Result<Wagon> wagon_from_json(std::string_view text) { return decode<Wagon>(parse_json(text).value()); }

void expect_refused(std::string_view text, std::string_view id, std::string_view where, std::string_view message_part) {
  const Result<Wagon> wagon = wagon_from_json(text);
  ASSERT_FALSE(wagon.ok()) << text;
  EXPECT_EQ(wagon.error().id, id) << text;
  EXPECT_EQ(wagon.error().where, where) << text;
  EXPECT_EQ(wagon.error().category, Category::kInvalidArgument) << text;
  EXPECT_NE(wagon.error().message.find(message_part), std::string::npos) << wagon.error().message;
}

TEST(Decode, absent_and_null_keys_keep_their_defaults) {
  for (const char* text : {"{}", R"({"axles":null,"name":null,"tags":null,"spare":null})"}) {
    const Wagon wagon = wagon_from_json(text).value();
    EXPECT_TRUE(wagon.braked);
    EXPECT_EQ(wagon.axles, 2);
    EXPECT_EQ(wagon.name, "unnamed");
    EXPECT_EQ(wagon.memory.bytes, 512LL << 20);
    EXPECT_EQ(wagon.spare.maker, "none");
  }
}

TEST(Decode, every_type_of_field_is_read) {
  const Wagon wagon = wagon_from_json(R"({"braked":false,"axles":4,"load":2,"name":"w","interval":"1m30s","memory":"2GiB","cpu":"900m",
      "tags":["a","b"],"env":{"A":"x","B":1,"C":true,"D":0.5},"config":{"deep":[1]},"kind":"tank","spare":{"maker":"m","diameter":1},
      "wheels":[{"maker":"x"},{"maker":"y","diameter":2.5}]})")
                          .value();
  EXPECT_FALSE(wagon.braked);
  EXPECT_EQ(wagon.axles, 4);
  EXPECT_EQ(wagon.load, 2.0);
  EXPECT_EQ(wagon.name, "w");
  EXPECT_EQ(wagon.interval, std::chrono::seconds(90));
  EXPECT_EQ(wagon.memory.bytes, 2LL << 30);
  EXPECT_EQ(wagon.cpu.milli, 900);
  EXPECT_EQ(wagon.tags, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(wagon.env, (std::map<std::string, std::string>{{"A", "x"}, {"B", "1"}, {"C", "true"}, {"D", "0.5"}}));
  EXPECT_EQ(to_json(wagon.config), R"({"deep":[1]})");
  EXPECT_EQ(wagon.kind, "tank");
  EXPECT_EQ(wagon.spare.maker, "m");
  ASSERT_EQ(wagon.wheels.size(), 2u);
  EXPECT_EQ(wagon.wheels[0].diameter, 0.5);
  EXPECT_EQ(wagon.wheels[1].maker, "y");
}

TEST(Decode, cpu_and_memory_are_read_from_numbers_too) {
  EXPECT_EQ(wagon_from_json(R"({"cpu":2})")->cpu.milli, 2000);
  EXPECT_EQ(wagon_from_json(R"({"cpu":0.5})")->cpu.milli, 500);
  EXPECT_EQ(wagon_from_json(R"({"cpu":"2"})")->cpu.milli, 2000);
  EXPECT_EQ(wagon_from_json(R"({"memory":1048576})")->memory.bytes, 1048576);
}

TEST(Decode, unknown_key_is_refused_with_the_nearest_known_one) {
  expect_refused(R"({"axels":4})", "spec.unknown_key", "/axels", "did you mean \"axles\"?");
  expect_refused(R"({"spare":{"maker":"m","diametr":1}})", "spec.unknown_key", "/spare/diametr", "did you mean \"diameter\"?");
  expect_refused(R"({"wheels":[{"maker":"x"},{"maker":"y","colour":1}]})", "spec.unknown_key", "/wheels/1/colour",
                 "known keys: maker, diameter");
}

TEST(Decode, unknown_key_in_other_case_or_shortened_is_recognised) {
  expect_refused(R"({"AXLES":4})", "spec.unknown_key", "/AXLES", "did you mean \"axles\"?");
  expect_refused(R"({"mem":"1GiB"})", "spec.unknown_key", "/mem", "did you mean \"memory\"?");
}

TEST(Decode, quantity_with_a_foreign_unit_is_refused_with_the_one_that_was_meant) {
  expect_refused(R"({"memory":"4G"})", "spec.byte_size", "/memory", "write \"4GB\" or \"4GiB\"");
  expect_refused(R"({"memory":"512 mb"})", "spec.byte_size", "/memory", "write \"512MB\"");
  expect_refused(R"({"interval":"10 minutes"})", "spec.duration", "/interval", "write \"10m\"");
  expect_refused(R"({"cpu":"2 cores"})", "spec.cpu", "/cpu", "write 2");
  const Error unknown = wagon_from_json(R"({"memory":"4 bananas"})").error();
  EXPECT_EQ(unknown.message.find("; write"), std::string::npos) << unknown.message;
}

TEST(Decode, null_is_no_object_where_the_api_is_strict) {
  EXPECT_TRUE(decode<Wagon>(Document()).ok()) << "an empty file has only defaults";
  EXPECT_EQ(decode<Wagon>(Document(), {.numbers_as_text = false}).error().id, "spec.type");
}

TEST(Decode, unknown_key_without_a_near_one_suggests_nothing) {
  const Error error = wagon_from_json(R"({"zzzzzz":4})").error();
  EXPECT_EQ(error.message.find("did you mean"), std::string::npos) << error.message;
}

TEST(Decode, missing_required_key_is_refused_even_when_null) {
  expect_refused(R"({"spare":{"diameter":1}})", "spec.missing_key", "/spare", "\"maker\" is required");
  expect_refused(R"({"wheels":[{"maker":"x"},{}]})", "spec.missing_key", "/wheels/1", "\"maker\" is required");
  expect_refused(R"({"spare":{"maker":null}})", "spec.missing_key", "/spare", "\"maker\" is required");
}

TEST(Decode, wrong_type_is_refused_with_its_place) {
  expect_refused(R"({"braked":"yes"})", "spec.type", "/braked", "braked must be true or false, found the text \"yes\"; write true");
  expect_refused(R"({"axles":2.5})", "spec.type", "/axles", "found the number 2.5; write a whole number");
  expect_refused(R"({"name":7})", "spec.type", "/name", "name must be a text, found the integer 7; write \"7\" in quotes");
  expect_refused(R"({"interval":90})", "spec.type", "/interval", "interval must be a duration, found the integer 90; write \"90s\"");
  expect_refused(R"({"memory":[]})", "spec.type", "/memory", "memory");
  expect_refused(R"({"cpu":true})", "spec.type", "/cpu", "cpu");
  expect_refused(R"({"tags":"a"})", "spec.type", "/tags", "tags must be a list of texts, found the text \"a\"; write [\"a\"]");
  expect_refused(R"({"tags":["a",1]})", "spec.type", "/tags/1", "tags");
  expect_refused(R"({"env":["a"]})", "spec.type", "/env", "write NAME: VALUE pairs");
  expect_refused(R"({"env":{"A":{}}})", "spec.type", "/env/A", "env");
  expect_refused(R"({"spare":[]})", "spec.type", "/spare",
                 "spare must be an object, found a list; write its members, which are maker, diameter");
  expect_refused(R"({"wheels":{}})", "spec.type", "/wheels", "wheels");
  expect_refused(R"({"wheels":[1]})", "spec.type", "/wheels/0", "wheels must be an object, found the integer 1");
  EXPECT_EQ(decode<Wagon>(Document(1)).error().id, "spec.type");
}

TEST(Decode, value_out_of_range_is_refused_with_the_bounds) {
  expect_refused(R"({"axles":0})", "spec.range", "/axles", "axles must lie between 1 and 12: 0");
  expect_refused(R"({"axles":13})", "spec.range", "/axles", "13");
  expect_refused(R"({"load":-1})", "spec.range", "/load", "load must be at least 0: -1");
  expect_refused(R"({"memory":-5})", "spec.range", "/memory", "memory");
  expect_refused(R"({"cpu":-1})", "spec.range", "/cpu", "cpu");
  expect_refused(R"({"wheels":[{"maker":"x","diameter":9}]})", "spec.range", "/wheels/0/diameter", "diameter");
}

TEST(Decode, value_that_does_not_parse_keeps_the_id_of_its_parser) {
  expect_refused(R"({"interval":"soon"})", "spec.duration", "/interval", "interval: ");
  expect_refused(R"({"memory":"lots"})", "spec.byte_size", "/memory", "memory: ");
  expect_refused(R"({"cpu":"many"})", "spec.cpu", "/cpu", "cpu: ");
}

TEST(Decode, choice_outside_the_list_is_refused_with_the_list_and_a_suggestion) {
  expect_refused(R"({"kind":"opne"})", "spec.choice", "/kind", "open, closed, tank");
  expect_refused(R"({"kind":"opne"})", "spec.choice", "/kind", "did you mean \"open\"?");
}

TEST(Decode, first_fault_in_the_order_of_fields_is_reported) {
  expect_refused(R"({"kind":"x","axles":0,"unknown":1})", "spec.range", "/axles", "axles");
}

TEST(Decode, position_in_yaml_is_line_and_column) {
  const Document document = parse_yaml("name: w\nspare:\n  maker: m\n  diametr: 1\n", "wagon.yaml").value();
  EXPECT_EQ(decode<Wagon>(document).error().where, "wagon.yaml:4:3");
}

TEST(Encode, encoded_struct_decodes_to_the_same) {
  const std::string text =
      R"({"braked":false,"axles":4,"cargo":-9007199254740993,"load":2.5,"name":"w","interval":"1m30s","memory":"2GiB","cpu":"900m","tags":)"
      R"(["a"],"env":{"A":"x"},"config":{"deep":[1]},"kind":"tank","spare":{"maker":"m","diameter":1.0},"wheels":)"
      R"([{"maker":"x","diameter":0.5}]})";
  EXPECT_EQ(to_json(encode(wagon_from_json(text).value())), text);
}

TEST(Encode, random_structs_read_back_equal) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SeededRng rng(seed);
    testing::RandomDocument random(rng);
    Wagon wagon;
    wagon.braked = rng.below(2) == 0;
    wagon.axles = static_cast<std::int64_t>(1 + rng.below(12));
    wagon.cargo = static_cast<std::int64_t>(rng.next());
    wagon.load = static_cast<double>(rng.below(1'000'000)) / 7;
    wagon.name = random.text();
    wagon.interval = Duration(static_cast<std::int64_t>(rng.below(1'000'000'000'000)));
    wagon.memory.bytes = static_cast<std::int64_t>(rng.next() >> (1 + rng.below(60)));
    wagon.cpu.milli = static_cast<std::int64_t>(rng.below(1'000'000));
    for (std::uint64_t i = rng.below(3); i > 0; --i) wagon.tags.push_back(random.text());
    for (std::uint64_t i = rng.below(3); i > 0; --i) wagon.env[random.text()] = random.text();
    wagon.config = random.object(3);
    for (std::uint64_t i = rng.below(3); i > 0; --i) wagon.wheels.push_back({random.text(), 0.1 + rng.unit()});
    const std::string text = to_json(encode(wagon));
    const Result<Wagon> back = decode<Wagon>(parse_json(text).value());
    ASSERT_TRUE(back.ok()) << "seed " << seed << ": " << back.error().describe() << " in " << text;
    ASSERT_EQ(to_json(encode(*back)), text) << "seed " << seed;
  }
}

TEST(Schema, schema_lists_types_defaults_bounds_choices_and_required_keys) {
  const Document schema = schema_of<Wagon>();
  EXPECT_EQ(schema["type"].text(), "object");
  EXPECT_EQ(schema["additionalProperties"], Document(false));
  const Document& properties = schema["properties"];
  EXPECT_EQ(properties.members().size(), 14u);
  EXPECT_EQ(to_json(properties["axles"]),
            R"({"type":"integer","description":"Number of axles.","minimum":1.0,"maximum":12.0,"default":2})");
  EXPECT_EQ(properties["cargo"].find("minimum"), nullptr);
  EXPECT_EQ(to_json(properties["kind"]["enum"]), R"(["open","closed","tank"])");
  EXPECT_EQ(properties["interval"]["default"].text(), "1m");
  EXPECT_EQ(to_json(properties["memory"]["type"]), R"(["string","integer"])");
  EXPECT_EQ(to_json(properties["spare"]["required"]), R"(["maker"])");
  EXPECT_EQ(to_json(properties["wheels"]["items"]["required"]), R"(["maker"])");
  EXPECT_EQ(properties["wheels"]["items"]["properties"]["diameter"]["maximum"], Document(3.0));
}

/// Has what a field may be besides the plain types.
struct Train {
  std::optional<std::string> driver;
  std::optional<std::int64_t> platform;
  std::optional<TimePoint> left_at;
  std::optional<Wheel> lost;
  std::optional<std::string> light;
  std::vector<std::int64_t> stops;
  std::vector<double> speeds;
  std::map<std::string, Wheel> wheels_by_side;
  std::map<std::string, std::int64_t> seats;
  std::map<std::string, std::vector<std::int64_t>> berths;
  TimePoint built_at;

  void describe(FieldVisitor& fields) {
    fields.field("driver", driver, "Who drives.");
    fields.field("platform", platform, {.min = 1}, "Where it stands.");
    fields.field("left_at", left_at, "When it left.");
    fields.field("lost", lost, "The wheel that fell off.");
    fields.choice("light", light, {"red", "green"}, "What the signal shows.");
    fields.field("stops", stops, {.min = 0, .max = 99}, "Where it stops.");
    fields.field("speeds", speeds, "Between the stops.");
    fields.field("wheels_by_side", wheels_by_side, "Wheels.");
    fields.field("seats", seats, {.min = 0}, "Seats by class.");
    fields.field("berths", berths, "Berths by coach.");
    fields.field("built_at", built_at, "When it was built.");
  }
};

constexpr std::string_view kFullTrain =
    R"({"driver":"ann","platform":3,"left_at":"2026-01-02T03:04:05.000006Z","lost":{"maker":"m","diameter":1.0},"light":"red",)"
    R"("stops":[1,2],"speeds":[0.5],"wheels_by_side":{"left":{"maker":"l","diameter":0.5}},"seats":{"first":2},)"
    R"("berths":{"a":[4]},"built_at":"1970-01-01T00:00:01.000000Z"})";

void expect_train_refused(std::string_view text, std::string_view id, std::string_view where) {
  const Result<Train> train = decode<Train>(parse_json(text).value());
  ASSERT_FALSE(train.ok()) << text;
  EXPECT_EQ(train.error().id, id) << text;
  EXPECT_EQ(train.error().where, where) << text;
}

TEST(ComposedFields, values_read_back_as_they_were_written) {
  const Result<Train> train = decode<Train>(parse_json(kFullTrain).value());
  ASSERT_TRUE(train.ok()) << train.error().describe();
  EXPECT_EQ(train->driver, "ann");
  EXPECT_EQ(train->left_at->time_since_epoch().count() % 1'000'000, 6);
  EXPECT_EQ(train->wheels_by_side.at("left").maker, "l");
  EXPECT_EQ(train->berths.at("a"), std::vector<std::int64_t>{4});
  EXPECT_EQ(to_json(encode(*train)), kFullTrain);
}

TEST(ComposedFields, empty_optionals_are_not_written_and_may_be_null) {
  const Train train = decode<Train>(parse_json(R"({"driver":null,"lost":null,"built_at":"1970-01-01T00:00:00Z"})").value()).value();
  EXPECT_FALSE(train.driver.has_value());
  EXPECT_FALSE(train.lost.has_value());
  EXPECT_EQ(to_json(encode(train)),
            R"({"stops":[],"speeds":[],"wheels_by_side":{},"seats":{},"berths":{},"built_at":"1970-01-01T00:00:00.000000Z"})");
}

TEST(ComposedFields, faults_are_found_in_elements_and_told_with_their_place) {
  expect_train_refused(R"({"platform":0})", "spec.range", "/platform");
  expect_train_refused(R"({"stops":[1,100]})", "spec.range", "/stops/1");
  expect_train_refused(R"({"stops":[1,"x"]})", "spec.type", "/stops/1");
  expect_train_refused(R"({"seats":{"first":-1}})", "spec.range", "/seats/first");
  expect_train_refused(R"({"seats":[1]})", "spec.type", "/seats");
  expect_train_refused(R"({"berths":{"a":[1,null]}})", "spec.type", "/berths/a/1");
  expect_train_refused(R"({"wheels_by_side":{"left":{}}})", "spec.missing_key", "/wheels_by_side/left");
  expect_train_refused(R"({"lost":{"maker":"m","size":1}})", "spec.unknown_key", "/lost/size");
  expect_train_refused(R"({"light":"blue"})", "spec.choice", "/light");
  expect_train_refused(R"({"built_at":"yesterday"})", "time.malformed", "/built_at");
}

TEST(ComposedFields, strict_decoding_takes_no_number_from_a_text) {
  const Document asked = parse_json(R"({"platform":"3"})").value();
  EXPECT_EQ(decode<Train>(asked)->platform, 3);
  const Result<Train> strict = decode<Train>(asked, {.numbers_as_text = false});
  ASSERT_FALSE(strict.ok());
  EXPECT_EQ(strict.error().id, "spec.type");
}

TEST(ByteSizeText, units_are_binary_or_decimal) {
  EXPECT_EQ(parse_byte_size("1KiB")->bytes, 1024);
  EXPECT_EQ(parse_byte_size("1kB")->bytes, 1000);
  EXPECT_EQ(parse_byte_size("1.5MiB")->bytes, 1572864);
  EXPECT_EQ(parse_byte_size("2GB")->bytes, 2'000'000'000);
  EXPECT_EQ(parse_byte_size("3TiB")->bytes, 3LL << 40);
  EXPECT_EQ(parse_byte_size("17B")->bytes, 17);
  EXPECT_EQ(parse_byte_size("17")->bytes, 17);
  EXPECT_EQ(parse_byte_size("0")->bytes, 0);
}

TEST(ByteSizeText, malformed_and_impossible_sizes_are_refused) {
  for (const char* text :
       {"", "MiB", "-1MiB", "5 MiB", "5mib", "5K", "5KB", "nan", "inf", "infB", "1e300", "1e19", "9e18TiB", "5MiBx", "0x10"}) {
    const Result<ByteSize> size = parse_byte_size(text);
    ASSERT_FALSE(size.ok()) << text << " = " << size->bytes;
    EXPECT_EQ(size.error().id, "spec.byte_size") << text;
  }
}

TEST(ByteSizeText, written_sizes_use_the_largest_exact_binary_unit_and_read_back) {
  EXPECT_EQ(format_byte_size({512LL << 20}), "512MiB");
  EXPECT_EQ(format_byte_size({1LL << 40}), "1TiB");
  EXPECT_EQ(format_byte_size({1025}), "1025B");
  EXPECT_EQ(format_byte_size({0}), "0B");
  for (const std::int64_t bytes : {std::int64_t{1}, std::int64_t{9007199254740993}, std::numeric_limits<std::int64_t>::max()}) {
    EXPECT_EQ(parse_byte_size(format_byte_size({bytes}))->bytes, bytes);
  }
}

TEST(MilliCpuText, cores_and_thousandths_are_read) {
  EXPECT_EQ(parse_milli_cpu("2")->milli, 2000);
  EXPECT_EQ(parse_milli_cpu("0.5")->milli, 500);
  EXPECT_EQ(parse_milli_cpu("900m")->milli, 900);
  for (const char* text : {"", "m", "-1", "1 m", "1M", "nan", "inf", "1e12"})
    EXPECT_EQ(parse_milli_cpu(text).error().id, "spec.cpu") << text;
}

TEST(Nearest, candidate_within_two_edits_or_a_third_is_found) {
  const std::vector<std::string> keys{"command", "resources", "tasks", "env"};
  EXPECT_EQ(nearest("comand", keys), "command");
  EXPECT_EQ(nearest("task", keys), "tasks");
  EXPECT_EQ(nearest("resuorces", keys), "resources");
  EXPECT_EQ(nearest("enviroment", keys), std::nullopt);
  EXPECT_EQ(nearest("", keys), std::nullopt);
  EXPECT_EQ(nearest("x", {}), std::nullopt);
}

}  // namespace
}  // namespace trainyard
