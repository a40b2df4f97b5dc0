//! Sockets, passive ports, lingering refusals, kernel copy.
//!
//! This room knows TCP and files as descriptors; it never knows what a 421 is or who may enter. The words of a refusal and the
//! decision come from the caller ([`Doorman`]).

mod active;
mod address;
mod clock;
mod copy;
mod data;
mod descriptors;
mod doorway;
mod listener;
mod machine;
mod memory;
mod passive;
mod passive_address;
pub mod proxy;
#[cfg(test)]
mod testing;

pub use active::connect_active;
pub use address::normalize_socket_address;
pub use copy::{
    COPY_BUFFER_BYTES, CopyError, ReceiveEnd, Received, SendEnd, Sent, receive_file, receive_file_step,
    send_file, send_file_step,
};
pub use data::{finish, has_ended, prepare_data, shutdown_both, shutdown_write};
pub use descriptors::raise_descriptor_limit;
pub use doorway::{
    Caller, Doorman, Doorway, DoorwayCounts, LINGER_DROPPED_BYTES_MAX, LINGER_PLACES, LINGER_TIME,
    LingerHandle, PROXY_PLACES, PROXY_TIME, Verdict, WAITING_PLACES,
};
pub use listener::{BindError, Listener, prepare_control};
pub use machine::{DescriptorReading, Machine, MemoryReading, is_peer_unreachable};
pub use memory::{return_freed_memory, return_large_blocks};
pub use passive::{LeaseError, PassiveListener, PassivePorts, PortChoice};
pub use passive_address::PassiveAddress;
