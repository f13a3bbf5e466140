//! Names for the things the policy decides about: small indexes, append-only and never reused.
//!
//! Owns the index types. Refuses to know what they stand for: the configuration keeps the names.

/// Declares one index type over `u32`.
macro_rules! index {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub u32);

        impl $name {
            /// The index as a position in the table it points into.
            #[must_use]
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }
    };
}

index! {
    /// A vendor account space: `anthropic`, `openai`, …
    ProviderId
}
index! {
    /// One credential of a provider.
    KeyId
}
index! {
    /// `provider/model`.
    TargetId
}
index! {
    /// Scheme, host and port of an upstream.
    EndpointId
}
index! {
    /// Target × key: the thing that is tried.
    SlotId
}
