#include "apps/serve/prediction_run.h"

#include <gtest/gtest.h>

#include <cstring>

#include "api/oip/routes.h"
#include "apps/serve/endpoint_authorizer.h"
#include "base/testing/fake_clock.h"
#include "net/testing/router_client.h"
#include "serve/testing/fake_servable.h"

namespace trainyard::apps {
namespace {

/// Row i has the label i % 4 and one bright pixel there; rows from `wrong_from` on carry the next label instead.
class FourClassImages final : public ImageSource {
 public:
  FourClassImages(std::size_t rows, std::size_t wrong_from) : rows_(rows), wrong_from_(wrong_from), pixels_(rows * 4) {
    for (std::size_t row = 0; row < rows; ++row) pixels_[row * 4 + row % 4] = std::byte{255};
  }
  std::size_t rows() const override { return rows_; }
  std::span<const std::byte> pixels(std::size_t row) const override { return std::span(pixels_).subspan(row * 4, 4); }
  std::size_t label(std::size_t row) const override { return (row + (row >= wrong_from_ ? 1 : 0)) % 4; }

 private:
  std::size_t rows_;
  std::size_t wrong_from_;
  std::vector<std::byte> pixels_;
};

class PredictionRunTest : public ::testing::Test {
 protected:
  void SetUp() override {
    api::oip::add_oip_routes(router, host, clock, {});
    ASSERT_TRUE(host.load("m", 1, {"/model"}).ok());
  }

  Result<PredictionFigures> run(const ImageSource& images, const PredictionSettings& settings) {
    const ClientFactory connect = [this]() -> Result<std::unique_ptr<net::HttpClient>> {
      return std::unique_ptr<net::HttpClient>(std::make_unique<net::testing::RouterClient>(router));
    };
    return run_predictions(images, settings, connect, clock, [this](std::size_t done) { return done < stop_after; });
  }

  /// Doubles rows of four values, so that the brightest pixel is the best class.
  class Loader final : public serve::ModelLoader {
   public:
    Result<std::unique_ptr<serve::Servable>> load(const serve::ModelSource& source) override {
      return std::unique_ptr<serve::Servable>(std::make_unique<serve::testing::FakeServable>(
          serve::testing::doubling_signature(4), source.instances, serve::testing::double_values));
    }
  };

  std::size_t stop_after = std::size_t{1} << 40;
  EndpointAuthorizer authorizer{"secret"};
  net::Router router{authorizer};
  trainyard::testing::FakeClock clock;
  Loader loader;
  serve::ModelHost host{{}, loader, clock};
};

TEST_F(PredictionRunTest, accuracy_counts_rows_whose_best_class_is_the_label) {
  const FourClassImages images(100, 80);
  for (const bool binary : {true, false}) {
    const auto figures = run(images, {.model = "m", .token = "secret", .batch_size = 7, .binary = binary});
    ASSERT_TRUE(figures.ok()) << figures.error().describe();
    EXPECT_EQ(figures->rows, 100u);
    EXPECT_EQ(figures->correct, 80u);
    EXPECT_DOUBLE_EQ(figures->accuracy(), 0.8);
    EXPECT_EQ(figures->latencies.size(), 15u);
  }
}

TEST_F(PredictionRunTest, several_connections_send_every_row_once) {
  const FourClassImages images(50, 50);
  const auto figures = run(images, {.model = "m", .token = "secret", .rows = 40, .batch_size = 3, .connections = 4});
  ASSERT_TRUE(figures.ok()) << figures.error().describe();
  EXPECT_EQ(figures->rows, 40u);
  EXPECT_EQ(figures->correct, 40u);
}

TEST_F(PredictionRunTest, wrong_token_and_unknown_model_are_told_apart) {
  const FourClassImages images(5, 5);
  EXPECT_NE(run(images, {.model = "m", .token = "wrong"}).error().message.find("status 401"), std::string::npos);
  EXPECT_NE(run(images, {.model = "none", .token = "secret"}).error().message.find("status 404"), std::string::npos);
}

TEST_F(PredictionRunTest, run_ends_when_it_is_told_to) {
  stop_after = 10;
  EXPECT_EQ(run(FourClassImages(100, 100), {.model = "m", .token = "secret"}).error().id, "predict.stopped");
}

TEST(PredictionFigures, percentiles_are_latencies_that_occurred) {
  PredictionFigures figures;
  for (int i = 1; i <= 200; ++i) figures.latencies.push_back(Duration(i * 1000));
  EXPECT_DOUBLE_EQ(figures.percentile_ms(0.5), 100);
  EXPECT_DOUBLE_EQ(figures.percentile_ms(0.99), 198);
  EXPECT_DOUBLE_EQ(figures.percentile_ms(1), 200);
  EXPECT_DOUBLE_EQ(PredictionFigures{}.percentile_ms(0.99), 0);
}

TEST(EndpointAuthorizer, only_the_token_opens_an_endpoint_that_has_one) {
  EndpointAuthorizer closed("secret");
  EXPECT_TRUE(closed.authenticate(net::testing::make_request("GET", "/v2", {}, "secret")).ok());
  EXPECT_EQ(closed.authenticate(net::testing::make_request("GET", "/v2", {}, "secrex")).error().id, "auth.invalid");
  EXPECT_EQ(closed.authenticate(net::testing::make_request("GET", "/v2")).error().id, "auth.missing");
  EndpointAuthorizer open("");
  EXPECT_TRUE(open.authenticate(net::testing::make_request("GET", "/v2")).ok());
}

}  // namespace
}  // namespace trainyard::apps
