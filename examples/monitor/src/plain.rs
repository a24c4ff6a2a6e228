//! Output that is not a terminal: one summary, or a line per second.

use std::io::{self, Write};
use std::time::{Duration, Instant, SystemTime};

use crossbeam_channel::{Receiver, RecvTimeoutError};

use crate::feed::Message;
use crate::model::{Circuit, Connection, Direction, Model};
use crate::screen::End;
use crate::text::{bytes, clock, count, duration};

/// How long the summary waits for a connection; a private network takes longer.
const LIMIT: Duration = Duration::from_secs(30);
const NETWORK_LIMIT: Duration = Duration::from_secs(180);

/// Prints one summary as soon as tor is connected.
pub(crate) fn summary(
    model: &mut Model,
    messages: &Receiver<Message>,
    is_network: bool,
    out: &mut impl Write,
) -> io::Result<End> {
    let limit = if is_network { NETWORK_LIMIT } else { LIMIT };
    let deadline = Instant::now() + limit;
    while !model.is_up() {
        if let Connection::GivenUp(reason) = &model.connection {
            return Ok(End::Failed(reason.clone()));
        }
        match receive(model, messages, deadline) {
            Some(end) => return Ok(end),
            None if Instant::now() >= deadline => {
                let state = state(model);
                return Ok(End::Failed(format!("no tor within {} s: {state}", limit.as_secs())));
            }
            None => {}
        }
    }
    model.now = SystemTime::now();
    write_summary(model, out)?;
    Ok(End::Quit)
}

/// Prints a line per second until the deadline.
pub(crate) fn lines(
    model: &mut Model,
    messages: &Receiver<Message>,
    deadline: Instant,
    out: &mut impl Write,
) -> io::Result<End> {
    let mut next = Instant::now() + Duration::from_secs(1);
    loop {
        match receive(model, messages, next) {
            Some(end) => return Ok(end),
            None if Instant::now() < next => continue,
            None => {}
        }
        model.now = SystemTime::now();
        writeln!(out, "{}", line(model))?;
        out.flush()?;
        if let Connection::GivenUp(reason) = &model.connection {
            return Ok(End::Failed(reason.clone()));
        }
        next += Duration::from_secs(1);
        // The last line is due at the deadline.
        if next > deadline + Duration::from_millis(500) {
            return Ok(End::Quit);
        }
    }
}

/// Applies the next message. Returns the end if it is one.
fn receive(model: &mut Model, messages: &Receiver<Message>, deadline: Instant) -> Option<End> {
    match messages.recv_deadline(deadline) {
        Ok(Message::Update(update)) => model.apply(update),
        Ok(Message::Failed(reason)) => return Some(End::Failed(reason)),
        Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return Some(End::Quit),
        Ok(Message::Terminal(_)) | Err(RecvTimeoutError::Timeout) => {}
    }
    None
}

/// Returns the state of the connection in words.
fn state(model: &Model) -> String {
    match &model.connection {
        Connection::Starting => "starting".to_owned(),
        Connection::Connecting { attempt, reason: None, .. } => {
            format!("connecting, attempt {attempt}")
        }
        Connection::Connecting { attempt, reason: Some(reason), .. } => {
            format!("connecting, attempt {attempt}: {reason}")
        }
        Connection::Restoring => "restoring".to_owned(),
        Connection::Up { .. } => "up".to_owned(),
        Connection::GivenUp(reason) => format!("given up: {reason}"),
    }
}

fn line(model: &Model) -> String {
    let (time, state) = (clock(model.now), state(model));
    let bootstrap = model.bootstrap().map_or(0, |bootstrap| bootstrap.percent);
    if !model.is_up() {
        return format!("{time} {state}, bootstrap {bootstrap} %");
    }
    let (read, written) = (&model.bandwidth.read, &model.bandwidth.written);
    format!(
        "{time} {state}  read {}/s  written {}/s  {}  {}  {}  bootstrap {bootstrap} %",
        bytes(read.last()),
        bytes(written.last()),
        count(model.live.circuits.len(), "circuit"),
        count(model.live.streams(), "stream"),
        count(model.live.connections.len(), "connection"),
    )
}

fn write_summary(model: &Model, out: &mut impl Write) -> io::Result<()> {
    let live = &model.live;
    if let Some(process) = &model.process {
        let uptime = process.started.and_then(|started| model.now.duration_since(started).ok());
        writeln!(out, "tor          {}", process.version)?;
        writeln!(
            out,
            "pid          {}",
            process.pid.map_or("-".to_owned(), |pid| pid.to_string())
        )?;
        writeln!(out, "uptime       {}", uptime.map_or("-".to_owned(), duration))?;
        for (name, ports) in
            [("SOCKS", &process.socks), ("OR", &process.or), ("control", &process.control)]
        {
            let ports = if ports.is_empty() { "-".to_owned() } else { ports.join(" ") };
            writeln!(out, "{name:<13}{ports}")?;
        }
    }
    if let Some(bootstrap) = model.bootstrap() {
        writeln!(out, "bootstrap    {} % {}", bootstrap.percent, bootstrap.summary)?;
    }
    let total = |direction: &Direction| bytes(direction.total());
    let (read, written) = (total(&model.bandwidth.read), total(&model.bandwidth.written));
    writeln!(out, "traffic      {read} read, {written} written")?;
    writeln!(out, "circuits     {}, {} built", live.circuits.len(), live.built())?;
    for circuit in &live.circuits {
        writeln!(out, "  {}", circuit_line(circuit))?;
        for stream in &circuit.streams {
            writeln!(out, "    stream {} {} {}", stream.id, stream.status, stream.target)?;
        }
    }
    writeln!(out, "connections  {}", live.connections.len())?;
    for connection in &live.connections {
        writeln!(out, "  {} {}", connection.status, connection.peer.name)?;
    }
    writeln!(out, "services     {}", model.services.len())?;
    for service in &model.services {
        let address = service.address.as_deref().unwrap_or("address not readable");
        writeln!(out, "  {address} ({})", service.origin)?;
    }
    out.flush()
}

fn circuit_line(circuit: &Circuit) -> String {
    let names: Vec<_> = circuit.path.iter().map(|relay| relay.name.as_str()).collect();
    format!("{} {} {} {}", circuit.id, circuit.status, circuit.purpose, names.join(" > "))
}

#[cfg(test)]
mod tests {
    use super::{line, write_summary};
    use crate::model::Model;
    use crate::model::tests::sample;

    #[test]
    fn the_summary_has_every_part() {
        let mut out = Vec::new();
        write_summary(&sample(), &mut out).unwrap();
        let expected = include_str!("plain/summary.txt");
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn a_line_has_the_numbers_of_a_second() {
        let expected = "12:03:07 up  read 28.0 kB/s  written 3.25 kB/s  3 circuits  3 streams  \
                        2 connections  bootstrap 100 %";
        assert_eq!(line(&sample()), expected);
        let model = Model::new(sample().now);
        assert_eq!(line(&model), "12:03:07 starting, bootstrap 0 %");
    }
}
