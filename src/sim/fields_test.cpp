#include "sim/fields.h"

#include <gtest/gtest.h>

#include "base/rng.h"

namespace trainyard::sim {
namespace {

std::int64_t micros_of(std::string_view text) {
  std::int64_t micros = -7;
  EXPECT_EQ(parse_seconds(text, micros), "") << text;
  return micros;
}

bool refused(std::string_view text) {
  std::int64_t micros = 0;
  return !parse_seconds(text, micros).empty();
}

TEST(Seconds, decimals_become_microseconds_rounded_half_up) {
  EXPECT_EQ(micros_of("0"), 0);
  EXPECT_EQ(micros_of("12"), 12'000'000);
  EXPECT_EQ(micros_of("0.5"), 500'000);
  EXPECT_EQ(micros_of("4.709164021244639"), 4'709'164);
  EXPECT_EQ(micros_of("0.0000005"), 1);
  EXPECT_EQ(micros_of("0.00000049999999999999999999999999"), 0);
  EXPECT_EQ(micros_of("1.9999995"), 2'000'000);
  EXPECT_EQ(micros_of(".25"), 250'000);
  EXPECT_EQ(micros_of("3."), 3'000'000);
  EXPECT_EQ(micros_of("1e-3"), 1000);
  EXPECT_EQ(micros_of("1.5E+2"), 150'000'000);
  EXPECT_EQ(micros_of("00000000000000000000000007"), 7'000'000);
  EXPECT_EQ(micros_of("10000000000"), 10'000'000'000'000'000);
  EXPECT_EQ(micros_of("1e-400"), 0);
}

TEST(Seconds, what_is_no_number_or_out_of_range_is_refused) {
  for (const char* text : {"",
                           "-",
                           ".",
                           "abc",
                           "1s",
                           " 1",
                           "1 ",
                           "1,5",
                           "1e",
                           "1e+",
                           "1.2.3",
                           "nan",
                           "inf",
                           "Infinity",
                           "0x10",
                           "--1",
                           "+1",
                           "-1",
                           "-0.1",
                           "1e400",
                           "1e11",
                           "10000000000.1",
                           "99999999999999999999999999",
                           "1e99999999999999999999"}) {
    EXPECT_TRUE(refused(text)) << text;
  }
}

TEST(Seconds, text_has_at_most_six_places_and_no_trailing_zeros) {
  EXPECT_EQ(seconds_text(0), "0");
  EXPECT_EQ(seconds_text(1'500'000), "1.5");
  EXPECT_EQ(seconds_text(-1'000'001), "-1.000001");
  EXPECT_EQ(seconds_text(10'000'000'000'000'000), "10000000000");
}

TEST(Seconds, text_of_any_time_reads_back_as_that_time) {
  const std::uint64_t seed = 20'240'701;
  SeededRng rng(seed);
  for (int i = 0; i < 20'000; ++i) {
    const auto micros = static_cast<std::int64_t>(rng.below(std::uint64_t{1} << (1 + rng.below(53))));
    ASSERT_EQ(micros_of(seconds_text(micros)), micros) << "seed " << seed;
  }
}

TEST(WholeNumber, digits_alone_within_bounds_are_taken) {
  std::int64_t value = 0;
  EXPECT_EQ(parse_whole("42", 1, 100, value), "");
  EXPECT_EQ(value, 42);
  for (const char* text : {"", "4.0", " 4", "4 ", "four", "1e3", "0", "101", "-1", "99999999999999999999999", "-99999999999999999999999"}) {
    EXPECT_NE(parse_whole(text, 1, 100, value), "") << text;
  }
}

TEST(Name, control_characters_and_bad_utf8_are_refused) {
  EXPECT_EQ(check_name("Grüße, 世界"), "");
  for (const std::string& text :
       {std::string("a\tb"), std::string("a\x7f"), std::string("\xff"), std::string("\xc0\x80"), std::string("\xed\xa0\x80"),
        std::string("\xf5\x80\x80\x80"), std::string("\xe2\x82"), std::string(1001, 'x')}) {
    EXPECT_NE(check_name(text), "") << text;
  }
}

TEST(CsvRecord, quoted_fields_lose_their_quotes) {
  std::vector<std::string_view> fields;
  std::string unescaped;
  EXPECT_EQ(split_csv("a,\"b,\"\"c\"\"\",,\"\"", fields, unescaped), "");
  EXPECT_EQ(fields, (std::vector<std::string_view>{"a", "b,\"c\"", "", ""}));
  EXPECT_NE(split_csv("a,b\"c", fields, unescaped), "");
  EXPECT_NE(split_csv("\"a\"b,c", fields, unescaped), "");
  EXPECT_NE(split_csv("\"a", fields, unescaped), "");
}

TEST(CsvRecord, field_of_any_bytes_reads_back) {
  const std::uint64_t seed = 7;
  SeededRng rng(seed);
  constexpr std::string_view kBytes = "ab,\"\r\n# ";
  for (int round = 0; round < 5000; ++round) {
    std::string field;
    for (std::uint64_t i = rng.below(8); i > 0; --i) field += kBytes[rng.below(kBytes.size())];
    std::string record;
    append_csv(record, field);
    record += ',';
    append_csv(record, field);
    std::vector<std::string_view> fields;
    std::string unescaped;
    ASSERT_EQ(split_csv(record, fields, unescaped), "") << "seed " << seed << ": " << record;
    ASSERT_EQ(fields, (std::vector<std::string_view>{field, field})) << "seed " << seed;
  }
}

TEST(ShownText, control_characters_are_escaped_and_long_text_is_cut) {
  EXPECT_EQ(shown("a\nb\xff"), "a\\x0ab\\xff");
  EXPECT_EQ(shown(std::string(100, 'x')), std::string(60, 'x') + "... (100 bytes)");
}

}  // namespace
}  // namespace trainyard::sim
