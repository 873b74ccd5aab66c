//! TCP: a client with one connection, a server, and a crowd of clients.

mod client;
mod crowd;
mod server;
mod talks;

pub use client::Client;
pub use crowd::Crowd;
pub use server::Server;
