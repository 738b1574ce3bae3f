//! The 3Com 3C501: device (registers), segment (the shared coax), driver.
