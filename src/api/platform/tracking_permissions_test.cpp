#include <gtest/gtest.h>

#include "api/platform/datasets.h"
#include "api/platform/models.h"
#include "base/testing/manual_executor.h"
#include "net/testing/fake_responder.h"
#include "track/testing/tracking_fixture.h"

namespace trainyard::api {
namespace {

/// A route and the least role it asks for, for every route of datasets, runs and models.
struct Guarded {
  std::string method;
  std::string pattern;
  net::Permission permission;
};

class TrackingPermissionsTest : public track::testing::TrackingTest {
 protected:
  TrackingPermissionsTest() {
    add_dataset_routes(router, {blocking, catalog, objects});
    add_run_routes(router, {blocking, tracking});
    add_model_routes(router, {blocking, tracking});
  }

  trainyard::testing::ManualExecutor blocking{clock};
  data::CatalogRepository catalog{files.database(), clock};
  net::testing::FakeAuthorizer authorizer;
  net::Router router{authorizer};
};

TEST_F(TrackingPermissionsTest, every_route_asks_for_the_least_role_that_may_use_it) {
  using net::Permission;
  const std::vector<Guarded> expected{
      {"POST", "/api/v1/datasets/{name}/versions", Permission::kRunner},
      {"GET", "/api/v1/datasets", Permission::kViewer},
      {"GET", "/api/v1/datasets/{name}", Permission::kViewer},
      {"GET", "/api/v1/datasets/{name}/versions/{version}", Permission::kViewer},
      {"GET", "/api/v1/runs", Permission::kViewer},
      {"GET", "/api/v1/runs/{id}", Permission::kViewer},
      {"GET", "/api/v1/runs/{id}/metrics", Permission::kViewer},
      {"POST", "/api/v1/models/{name}/versions", Permission::kRunner},
      {"GET", "/api/v1/models", Permission::kViewer},
      {"GET", "/api/v1/models/{name}", Permission::kViewer},
      {"PUT", "/api/v1/models/{name}/aliases/{alias}", Permission::kOperator},
  };
  ASSERT_EQ(router.routes().size(), expected.size());
  for (const Guarded& route : expected) {
    const auto found = std::find_if(router.routes().begin(), router.routes().end(), [&route](const net::Route& there) {
      return there.method == route.method && there.pattern == route.pattern;
    });
    ASSERT_NE(found, router.routes().end()) << route.method << " " << route.pattern;
    EXPECT_EQ(found->permission, route.permission) << route.method << " " << route.pattern;
  }
}

}  // namespace
}  // namespace trainyard::api
