//! The three kinds of patch that are not server-side apply: what a patch makes of an object.
//!
//! Pure: they know nothing of the store, of validation or of who owns which field ([`managed`](crate::managed) does). What comes out
//! is still to be defaulted, pruned and checked like an object that was sent whole.
//!
//! | Content type | Function | Source of the rules |
//! |---|---|---|
//! | `application/json-patch+json` | [`json`] | RFC 6902, and what the real API server's library makes of it |
//! | `application/merge-patch+json` | [`merge`] | RFC 7386, likewise |
//! | `application/strategic-merge-patch+json` | [`strategic`] | `apimachinery/pkg/util/strategicpatch`; built-in kinds only |

mod json;
mod merge;
mod order;
mod strategic;

pub use json::json;
pub use merge::{check_merge, merge};
pub use strategic::strategic;
