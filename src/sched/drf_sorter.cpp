#include "sched/drf_sorter.h"

#include <algorithm>

namespace trainyard::sched {

bool DrfSorter::before(Client a, Client b) const {
  const State& left = clients_[a];
  const State& right = clients_[b];
  const std::strong_ordering shares = left.share <=> right.share;
  if (shares != std::strong_ordering::equal) return shares == std::strong_ordering::less;
  if (left.entry.allocations != right.entry.allocations) return left.entry.allocations < right.entry.allocations;
  if (left.entry.name != right.entry.name) return left.entry.name < right.entry.name;
  return a < b;
}

void DrfSorter::put(std::size_t place, Client client) {
  heap_[place] = client;
  clients_[client].place = place;
}

void DrfSorter::rise(std::size_t place) {
  const Client client = heap_[place];
  while (place > 0 && before(client, heap_[(place - 1) / 2])) {
    put(place, heap_[(place - 1) / 2]);
    place = (place - 1) / 2;
  }
  put(place, client);
}

void DrfSorter::sink(std::size_t place) {
  const Client client = heap_[place];
  for (std::size_t child = 2 * place + 1; child < heap_.size(); child = 2 * place + 1) {
    if (child + 1 < heap_.size() && before(heap_[child + 1], heap_[child])) ++child;
    if (!before(heap_[child], client)) break;
    put(place, heap_[child]);
    place = child;
  }
  put(place, client);
}

void DrfSorter::changed(Client client) {
  State& state = clients_[client];
  state.share = share_of(state.entry.used, total_, state.entry.weight_milli);
  if (state.place == kOut) return;
  rise(state.place);
  sink(state.place);
}

DrfSorter::Client DrfSorter::add(const Entry& entry) {
  const auto client = static_cast<Client>(clients_.size());
  clients_.push_back({.entry = entry, .share = share_of(entry.used, total_, entry.weight_milli)});
  activate(client);
  return client;
}

void DrfSorter::allocate(Client client, const Amounts& amounts) {
  clients_[client].entry.used += amounts;
  ++clients_[client].entry.allocations;
  changed(client);
}

void DrfSorter::unallocate(Client client, const Amounts& amounts) {
  clients_[client].entry.used -= amounts;
  changed(client);
}

void DrfSorter::set_weight(Client client, std::int64_t weight_milli) {
  clients_[client].entry.weight_milli = weight_milli;
  changed(client);
}

void DrfSorter::set_total(const Amounts& total) {
  total_ = total;
  for (State& state : clients_) state.share = share_of(state.entry.used, total_, state.entry.weight_milli);
  for (std::size_t place = heap_.size() / 2; place-- > 0;) sink(place);
}

void DrfSorter::deactivate(Client client) {
  const std::size_t place = clients_[client].place;
  if (place == kOut) return;
  clients_[client].place = kOut;
  const Client last = heap_.back();
  heap_.pop_back();
  if (last == client) return;
  put(place, last);
  rise(place);
  sink(clients_[last].place);
}

void DrfSorter::activate(Client client) {
  if (active(client)) return;
  heap_.push_back(client);
  rise(heap_.size() - 1);
}

void DrfSorter::remove(Client client) {
  deactivate(client);
  clients_[client].entry.used = {};
  clients_[client].entry.allocations = 0;
  changed(client);
}

std::optional<DrfSorter::Client> DrfSorter::first() const {
  if (heap_.empty()) return std::nullopt;
  return heap_.front();
}

std::vector<DrfSorter::Client> DrfSorter::order() const {
  std::vector<Client> sorted = heap_;
  std::sort(sorted.begin(), sorted.end(), [this](Client a, Client b) { return before(a, b); });
  return sorted;
}

}  // namespace trainyard::sched
