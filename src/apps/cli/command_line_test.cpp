#include "apps/cli/command_line.h"

#include <gtest/gtest.h>

#include "apps/cli/doctor.h"

namespace trainyard::apps {
namespace {

TEST(ExitCode, every_category_has_the_documented_one) {
  EXPECT_EQ(exit_code_of(Category::kInvalidArgument), 2);
  EXPECT_EQ(exit_code_of(Category::kNotFound), 3);
  EXPECT_EQ(exit_code_of(Category::kUnauthenticated), 4);
  EXPECT_EQ(exit_code_of(Category::kPermissionDenied), 4);
  EXPECT_EQ(exit_code_of(Category::kAlreadyExists), 5);
  EXPECT_EQ(exit_code_of(Category::kUnavailable), 6);
  EXPECT_EQ(exit_code_of(Category::kDeadlineExceeded), 6);
  EXPECT_EQ(exit_code_of(Category::kResourceExhausted), 7);
  EXPECT_EQ(exit_code_of(Category::kInternal), 1);
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
