#include "apps/cli/command_line.h"

#include <gtest/gtest.h>

#include <map>

#include "apps/cli/doctor.h"
#include "net/http.h"

namespace trainyard::apps {
namespace {

constexpr int kCategories = static_cast<int>(Category::kUnauthenticated) + 1;

TEST(ExitCode, every_category_has_the_documented_one) {
  const std::map<Category, int> documented{
      {Category::kCancelled, 130},      {Category::kUnknown, 1},           {Category::kInvalidArgument, 2},
      {Category::kDeadlineExceeded, 6}, {Category::kNotFound, 3},          {Category::kAlreadyExists, 5},
      {Category::kPermissionDenied, 4}, {Category::kResourceExhausted, 7}, {Category::kFailedPrecondition, 5},
      {Category::kAborted, 5},          {Category::kOutOfRange, 2},        {Category::kUnimplemented, 1},
      {Category::kInternal, 1},         {Category::kUnavailable, 6},       {Category::kDataLoss, 1},
      {Category::kUnauthenticated, 4}};
  ASSERT_EQ(documented.size(), static_cast<std::size_t>(kCategories));
  for (const auto& [category, code] : documented) EXPECT_EQ(exit_code_of(category), code) << name_of(category);
}

TEST(ExitCode, answer_without_a_category_has_the_code_of_its_status) {
  const auto code_of_status = [](int status) { return exit_code_of(client::error_from_response({.status = status}).category); };
  for (int i = 0; i < kCategories; ++i) {
    const auto category = static_cast<Category>(i);
    EXPECT_EQ(code_of_status(net::http_status_of(category)), exit_code_of(category)) << name_of(category);
  }
  EXPECT_EQ(code_of_status(412), kConflict);
  EXPECT_EQ(code_of_status(428), kConflict);
  EXPECT_EQ(code_of_status(410), kNotFound);
  EXPECT_EQ(code_of_status(408), kUnavailable);
  EXPECT_EQ(code_of_status(413), kUsage);
  EXPECT_EQ(code_of_status(500), kFailed);
}

TEST(Query, takes_what_is_not_empty_and_escapes_it) {
  EXPECT_EQ(Query().text(), "");
  EXPECT_EQ(Query().add("a", "").add("b", "x y&z").add("c", "1").text(), "?b=x%20y%26z&c=1");
}

TEST(Doctor, missing_libraries_are_named) {
  EXPECT_EQ(missing_libraries(
                "\tlinux-vdso.so.1 (0x1)\n\tlibtorch_cpu.so => not found\n\tlibc.so.6 => /lib/libc.so.6 (0x2)\n\tlibc10.so => not found"),
            (std::vector<std::string>{"libtorch_cpu.so", "libc10.so"}));
  EXPECT_TRUE(missing_libraries("").empty());
}

TEST(Doctor, report_shows_the_fix_below_what_is_not_in_order) {
  const std::vector<Check> checks{{"programs", Check::Outcome::kOk, "all there", ""},
                                  {"data", Check::Outcome::kWarning, "little room", "make room"},
                                  {"clock", Check::Outcome::kFailed, "wrong", "set it"}};
  EXPECT_EQ(doctor_report(checks),
            "programs   ok       all there\n"
            "data       warning  little room\n"
            "                    fix: make room\n"
            "clock      FAILED   wrong\n"
            "                    fix: set it\n"
            "1 ok, 1 warnings, 1 failed\n");
  const Document document = doctor_document(checks);
  EXPECT_FALSE(document["ok"].as_bool().value());
  EXPECT_EQ(document["checks"].items()[2]["outcome"].text(), "failed");
  EXPECT_TRUE(doctor_document({checks[0], checks[1]})["ok"].as_bool().value());
}

}  // namespace
}  // namespace trainyard::apps
