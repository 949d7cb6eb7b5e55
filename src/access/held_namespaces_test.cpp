#include "access/held_namespaces.h"

#include <gtest/gtest.h>

namespace trainyard::access {
namespace {

using net::Permission;

TEST(HeldNamespaces, grants_of_the_least_role_count_by_name) {
  const net::Principal ann{"ann", {}, {{"vision", "runner"}, {"text", "viewer"}, {"audio", "admin"}}};
  const NamespaceSet written = held_namespaces(ann, Permission::kRunner);
  EXPECT_FALSE(written.all);
  EXPECT_EQ(written.names, (std::vector<std::string>{"audio", "vision"}));
  EXPECT_EQ(held_namespaces(ann, Permission::kViewer).names, (std::vector<std::string>{"audio", "text", "vision"}));
  EXPECT_TRUE(written.contains("vision"));
  EXPECT_FALSE(written.contains("text"));
  EXPECT_FALSE(written.contains(""));
}

TEST(HeldNamespaces, role_in_all_namespaces_is_all_of_them) {
  EXPECT_TRUE(held_namespaces({"root", "admin"}, Permission::kRunner).all);
  EXPECT_TRUE(held_namespaces({"eve", {}, {{"*", "viewer"}, {"vision", "runner"}}}, Permission::kViewer).all);
  const NamespaceSet written = held_namespaces({"eve", {}, {{"*", "viewer"}, {"vision", "runner"}}}, Permission::kRunner);
  EXPECT_FALSE(written.all);
  EXPECT_EQ(written.names, std::vector<std::string>{"vision"});
}

TEST(HeldNamespaces, nobody_holds_none) {
  const NamespaceSet none = held_namespaces({}, Permission::kViewer);
  EXPECT_FALSE(none.all);
  EXPECT_TRUE(none.names.empty());
}

}  // namespace
}  // namespace trainyard::access
