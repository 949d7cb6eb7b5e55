#include "domain/resources.h"

#include <gtest/gtest.h>

namespace trainyard {
namespace {

TEST(Resources, arithmetic_works_on_every_quantity) {
  const Resources a{1000, 2048, 500};
  const Resources b{500, 1024, 0};
  EXPECT_EQ(a + b, (Resources{1500, 3072, 500}));
  EXPECT_EQ(a - b, (Resources{500, 1024, 500}));
  EXPECT_EQ(a * 3, (Resources{3000, 6144, 1500}));
}

TEST(Resources, request_fits_when_every_quantity_is_there) {
  const Resources free{1000, 1024, 1000};
  EXPECT_TRUE((Resources{1000, 1024, 1000}.fits_in(free)));
  EXPECT_FALSE((Resources{1001, 1, 0}.fits_in(free)));
  EXPECT_FALSE((Resources{1, 1025, 0}.fits_in(free)));
  EXPECT_FALSE((Resources{1, 1, 1001}.fits_in(free)));
}

TEST(Resources, zero_request_never_gates_even_on_an_overcommitted_resource) {
  EXPECT_TRUE((Resources{100, 0, 0}.fits_in({100, -50, -1000})));
  EXPECT_FALSE((Resources{100, 1, 0}.fits_in({100, -50, 0})));
  EXPECT_TRUE((Resources{}.fits_in({})));
}

TEST(Resources, text_is_for_people_and_leaves_out_absent_devices) {
  EXPECT_EQ((Resources{1500, 512LL << 20, 0}.text()), "1.5 cpu, 512MiB");
  EXPECT_EQ((Resources{2000, 1LL << 30, 500}.text()), "2 cpu, 1GiB, 0.5 gpu");
  EXPECT_EQ((Resources{500, 24'618'548LL << 10, 0}.text()), "0.5 cpu, 23.48GiB");
}

TEST(ResourceRequest, what_is_not_said_is_one_core_and_half_a_gibibyte) {
  EXPECT_EQ(ResourceRequest{}.resources(), (Resources{1000, 512LL << 20, 0}));
  const ResourceRequest request = decode<ResourceRequest>(parse_json(R"({"gpu":0.25})").value()).value();
  EXPECT_EQ(request.resources(), (Resources{1000, 512LL << 20, 250}));
}

}  // namespace
}  // namespace trainyard
