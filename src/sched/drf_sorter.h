#pragma once
#include <optional>
#include <string_view>
#include <vector>

#include "sched/share.h"

namespace trainyard::sched {

/// Clients by dominant share, smallest first; equal shares by fewer allocations, then by name. The first is found at once, a change costs
/// O(log n). A copyable value. Not thread-safe. Source: Ghodsi et al., NSDI 2011; ties as in the sorter of Apache Mesos.
class DrfSorter {
 public:
  using Client = std::uint32_t;  ///< Counted from 0 in the order of add().

  /// A client as it comes in. The name must outlive the sorter.
  struct Entry {
    std::string_view name;
    std::int64_t weight_milli = 1000;
    Amounts used{};
    std::int64_t allocations = 0;  ///< How often it got something.
  };

  explicit DrfSorter(const Amounts& total) : total_(total) {}

  /// The client takes part from now on.
  Client add(const Entry& entry);
  /// It gets this much more; one allocation.
  void allocate(Client client, const Amounts& amounts);
  /// It gives back; the count of allocations stays.
  void unallocate(Client client, const Amounts& amounts);
  void set_weight(Client client, std::int64_t weight_milli);
  /// What all shares are shares of.
  void set_total(const Amounts& total);
  /// It takes no part until activated again; what it holds stays on its account.
  void deactivate(Client client);
  void activate(Client client);
  /// It takes no part and holds nothing.
  void remove(Client client);

  /// The active client with the smallest share.
  std::optional<Client> first() const;
  /// All active clients, smallest share first. O(n log n).
  std::vector<Client> order() const;
  bool active(Client client) const { return clients_[client].place != kOut; }
  const Share& share(Client client) const { return clients_[client].share; }
  std::string_view name(Client client) const { return clients_[client].entry.name; }

 private:
  static constexpr std::size_t kOut = ~std::size_t{0};
  struct State {
    Entry entry;
    Share share;
    std::size_t place = kOut;  ///< In heap_.
  };
  bool before(Client a, Client b) const;
  void put(std::size_t place, Client client);
  void rise(std::size_t place);
  void sink(std::size_t place);
  void changed(Client client);

  Amounts total_;
  std::vector<State> clients_;
  std::vector<Client> heap_;  ///< Binary heap of the active ones.
};

}  // namespace trainyard::sched
