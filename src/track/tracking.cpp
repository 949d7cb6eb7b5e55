#include "track/tracking.h"

namespace trainyard::track {
namespace {

/// A database whose reads and writes are part of a transaction that is open already.
class OpenTransaction final : public store::Database {
 public:
  explicit OpenTransaction(store::Connection& sql) : sql_(sql) {}
  Result<void> write(const std::function<Result<void>(store::Connection&)>& work) override { return work(sql_); }
  Result<void> read(const std::function<Result<void>(store::Connection&)>& work) override { return work(sql_); }

 private:
  store::Connection& sql_;
};

}  // namespace

Result<void> Tracking::together(const std::function<Result<void>(Tracking&)>& work) {
  return deps_.database.write([&](store::Connection& sql) -> Result<void> {
    OpenTransaction transaction(sql);
    Tracking inside({transaction, deps_.objects, deps_.clock});
    return work(inside);
  });
}

}  // namespace trainyard::track
