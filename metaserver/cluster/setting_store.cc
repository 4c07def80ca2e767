#include "metaserver/cluster/setting_store.h"

#include <spdlog/spdlog.h>

#include "common/logging.h"
#include "common/status.h"

namespace penstock::metaserver {

SettingStore::SettingStore(const ClusterSettings& defaults,
                           const std::vector<record::Setting>& stored, const Sources& sources)
    : defaults_(defaults), sources_(sources) {
  absl::MutexLock lock(&mu_);
  for (const record::Setting& one : stored) {
    auto setting = FindSetting(one.name());
    ClusterSettings checked = defaults_;
    absl::Status usable =
        setting.ok() ? SetFromText(**setting, one.value(), &checked) : setting.status();
    if (usable.ok()) {
      set_[one.name()] = one.value();
    } else {
      SPDLOG_WARN("stored setting has no effect name={} value={} error={}", Quoted(one.name()),
                  Quoted(one.value()), Quoted(usable.ToString()));
    }
  }
  current_ = Combine(set_);
}

ClusterSettings SettingStore::Combine(const absl::btree_map<std::string, std::string>& set) const {
  ClusterSettings combined = defaults_;
  for (const auto& [name, value] : set) {
    auto setting = FindSetting(name);
    if (setting.ok()) SetFromText(**setting, value, &combined).IgnoreError();  // checked before
  }
  return combined;
}

ClusterSettings SettingStore::Current() const {
  absl::MutexLock lock(&mu_);
  return current_;
}

std::vector<wire::Setting> SettingStore::Set() const {
  std::vector<wire::Setting> set;
  absl::MutexLock lock(&mu_);
  for (const auto& [name, value] : set_) {
    set.emplace_back().set_name(name);
    set.back().set_value(value);
  }
  return set;
}

wire::SettingInfo SettingStore::Info(const Setting& setting) const {
  wire::SettingInfo info;
  info.set_name(setting.name);
  info.set_default_value(ToText(setting, defaults_));
  info.set_allowed(AllowedText(setting));
  info.set_help(setting.help);
  info.set_kind(KindName(setting.kind));
  absl::MutexLock lock(&mu_);
  info.set_value(ToText(setting, current_));
  info.set_is_set(set_.contains(setting.name));
  return info;
}

std::vector<wire::SettingInfo> SettingStore::List() const {
  std::vector<wire::SettingInfo> list;
  for (const Setting& setting : AllSettings()) list.push_back(Info(setting));
  return list;
}

absl::StatusOr<SettingStore::Change> SettingStore::Plan(const std::string& name,
                                                        const std::string& text) const {
  Change change;
  ASSIGN_OR_RETURN(change.setting, FindSetting(name));
  absl::MutexLock lock(&mu_);
  absl::btree_map<std::string, std::string> set = set_;
  set.erase(name);
  change.next = Combine(set);
  if (text.empty()) return change;
  RETURN_IF_ERROR(SetFromText(*change.setting, text, &change.next));
  change.value = ToText(*change.setting, change.next);
  return change;
}

absl::Status SettingStore::Commit(const Change& change) {
  const std::string& name = change.setting->name;
  ClusterBatch batch(*sources_.store);
  if (change.value.empty()) {
    batch.DeleteSetting(name);
  } else {
    record::Setting stored;
    stored.set_name(name);
    stored.set_value(change.value);
    stored.set_changed_s(absl::ToUnixSeconds(sources_.clock->Now()));
    batch.Put(stored);
  }
  auto committed = sources_.log->Commit(batch.Take(), Durability::kSynced);
  if (!committed.ok()) return Annotate(committed.status(), "store a setting");
  absl::MutexLock lock(&mu_);
  if (change.value.empty()) {
    set_.erase(name);
  } else {
    set_[name] = change.value;
  }
  current_ = Combine(set_);
  return absl::OkStatus();
}

}  // namespace penstock::metaserver
