#pragma once

// What gRPC's completion queue hands back: an object whose Done() runs in the client's thread, with
// the client's mutex held.

namespace fleet::store::etcd {

class Tag {
 public:
  virtual ~Tag() = default;
  virtual void Done(bool ok) = 0;
};

// A tag that is a member of `owner`, and calls its method (which may destroy both).
template <typename T, void (T::*kMethod)(bool)>
class MemberTag final : public Tag {
 public:
  explicit MemberTag(T* owner) : owner_(owner) {}
  void Done(bool ok) override { (owner_->*kMethod)(ok); }

 private:
  T* const owner_;
};

}  // namespace fleet::store::etcd
