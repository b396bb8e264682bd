from socket import *
import struct, sys

def total(data):
    data += b"\0" * (len(data) % 2)
    n = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while n >> 16:
        n = (n & 0xffff) + (n >> 16)
    return n

def packet(src, dst, proto, payload):
    def head(check):
        return struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 7, 0, 64, proto, check,
                           inet_aton(src), inet_aton(dst))
    return head(0xffff - total(head(0))) + payload

def udp(port):
    return struct.pack("!HHHH", 7, port, 8, 0)

# As struct.pack("!4s4sBBH") of both addresses and so on has it.
def dccp(src, dst, right):
    data = bytearray(struct.pack("!HHBBHIII", 7, 9, 5, 0, 0, 1 << 24, 0, 0) + b"\0" * 4)
    pseudo = inet_aton(src) + inet_aton(dst) + struct.pack("!BBH", 0, 33, len(data))
    struct.pack_into("!H", data, 6, 0xffff - total(pseudo + bytes(data)) ^ (not right))
    return bytes(data)

def raw(p):
    s = socket(AF_INET, SOCK_RAW, IPPROTO_RAW)
    try:
        s.sendto(p, (inet_ntoa(p[16:20]), 0))
    except OSError:
        pass

def frame(name, mac, p):
    s = socket(AF_PACKET, SOCK_RAW)
    s.bind((name, 0x0800))
    s.send(bytes.fromhex(mac.replace(":", "")) + s.getsockname()[4] + b"\x08\x00" + p)
