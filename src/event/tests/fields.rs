use crate::event::Event;
use crate::event::fields::for_each_event;

macro_rules! show_events {
    ($( $variant:ident($type:ty) { $($field:ident)* } [$($list:ident)*] )*) => {
        /// Writes the value of every method of an event that reads a field.
        pub(super) fn shown(event: &Event) -> String {
            match event {
                $(
                    Event::$variant(event) => [
                        format!("{event:?}\n"),
                        $( format!("{}: {:?}\n", stringify!($field), event.$field()), )*
                        $( format!("{:?}\n", event.$list().collect::<Vec<_>>()), )*
                    ]
                    .concat(),
                )*
                other => format!("{other:?}\n"),
            }
        }
    };
}

for_each_event!(show_events);
