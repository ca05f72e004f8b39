"""The laboratory: everything a mail gateway has around it, on loopback addresses.

The demo and the end to end tests build their worlds from these pieces:

    net.Net            a private part of 127/8 and the port numbers that this user may bind
    process.Process    a program in the foreground, with its log, stopped by its own pid
    nameserver.Dns     NSD with zones signed from a DNS root of our own
    validator          questions to libunbound, to prove that those zones validate
    ca.Authority       certificates: good, expired, for the wrong name, from a stranger
    dovecot.Dovecot    the real mailboxes: LMTP in, IMAPS out
    sink.Sink          an SMTP or LMTP server that misbehaves as a test wants, and records all
    postfix            smtp-sink and smtp-source, where a foreign implementation counts
    dialogue.Dialogue  an SMTP client that says exactly the bytes it is told to say
    scram              SCRAM-SHA-256 and -PLUS, client side
    gateway.Gateway    a Postern of its own: configuration, start, commands, stop

Only Debian's Python, its dnspython and its yaml are needed.
"""
