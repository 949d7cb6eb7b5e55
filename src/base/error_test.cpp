#include "base/error.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <set>
#include <string>

namespace trainyard {
namespace {

TEST(Error, category_names_are_the_canonical_sixteen) {
  std::set<std::string> names;
  for (int i = 0; i <= static_cast<int>(Category::kUnauthenticated); ++i) names.emplace(name_of(static_cast<Category>(i)));
  EXPECT_EQ(names, (std::set<std::string>{"ABORTED", "ALREADY_EXISTS", "CANCELLED", "DATA_LOSS", "DEADLINE_EXCEEDED", "FAILED_PRECONDITION",
                                          "INTERNAL", "INVALID_ARGUMENT", "NOT_FOUND", "OUT_OF_RANGE", "PERMISSION_DENIED",
                                          "RESOURCE_EXHAUSTED", "UNAUTHENTICATED", "UNAVAILABLE", "UNIMPLEMENTED", "UNKNOWN"}));
}

TEST(Error, description_says_where_what_and_while_in_one_line) {
  Error error = invalid_argument("spec.range", "tasks must be at least 1: 0", "/tasks");
  EXPECT_EQ(error.describe(), "/tasks: spec.range: tasks must be at least 1: 0");
  error = std::move(error).with_context("reading the spec").with_context("submitting a job");
  EXPECT_EQ(error.describe(), "/tasks: spec.range: tasks must be at least 1: 0 (while reading the spec; while submitting a job)");
}

TEST(Error, description_without_a_place_starts_with_the_id) {
  EXPECT_EQ(unavailable("net.down", "no answer").describe(), "net.down: no answer");
}

TEST(Error, system_error_maps_errno_to_a_category_and_names_call_and_path) {
  struct Case {
    int error_number;
    Category category;
    std::string id;
  };
  for (const Case& c :
       {Case{ENOENT, Category::kNotFound, "io.missing"}, Case{EEXIST, Category::kAlreadyExists, "io.exists"},
        Case{EACCES, Category::kPermissionDenied, "io.permission"}, Case{EPERM, Category::kPermissionDenied, "io.permission"},
        Case{ENOSPC, Category::kResourceExhausted, "io.disk_full"}, Case{EDQUOT, Category::kResourceExhausted, "io.disk_full"},
        Case{EIO, Category::kUnavailable, "io.failed"}}) {
    const Error error = system_error(c.error_number, "open", "/a/b");
    EXPECT_EQ(error.category, c.category) << error.message;
    EXPECT_EQ(error.id, c.id);
    EXPECT_EQ(error.message.rfind("open /a/b: ", 0), 0u) << error.message;
  }
}

}  // namespace
}  // namespace trainyard
