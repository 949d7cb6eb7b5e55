#include "apps/cli/command_line.h"

#include <gtest/gtest.h>

#include "apps/cli/doctor.h"
#include "base/time.h"

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

TEST(Table, columns_are_aligned_and_lines_have_no_spaces_at_the_end) {
  EXPECT_EQ(table({"ID", "NAME", "STATE"}, {{"1", "long-name", "RUNNING"}, {"22", "b", ""}}),
            "ID  NAME       STATE\n1   long-name  RUNNING\n22  b\n");
}

TEST(Cell, values_are_shown_in_short) {
  EXPECT_EQ(cell("name", Document()), "-");
  EXPECT_EQ(cell("name", "x"), "x");
  EXPECT_EQ(cell("count", 3), "3");
  EXPECT_EQ(cell("ready", true), "true");
  EXPECT_EQ(cell("aliases", Document::object({{"champion", 1}, {"next", 2}})), "champion=1, next=2");
  EXPECT_EQ(cell("aliases", Document::object()), "-");
  EXPECT_EQ(cell("tags", Document::array({"a", "b"})), "a, b");
  EXPECT_EQ(cell("layers", parse_json(R"([{"layer":"raw","version":1,"rows":5},{"layer":"curated","version":2}])").value()),
            "raw@1, curated@2");
}

TEST(Cell, times_are_ages) {
  EXPECT_EQ(cell("created_at", to_rfc3339(SystemClock().now() - std::chrono::minutes(5))), "5m ago");
  EXPECT_EQ(age("not a time"), "-");
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
