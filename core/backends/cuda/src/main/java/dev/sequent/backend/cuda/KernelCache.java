package dev.sequent.backend.cuda;

import dev.sequent.spi.DeviceCode.Source;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * Compiled kernels on disk. A file's name is the hash of everything that the compiler saw: source, headers, functions, options (the
 * architecture among them) and the compiler's version. It holds a checksum of its content; a file that is cut off, changed or in the way is
 * ignored and written again. Files appear complete or not at all. A folder that cannot be used costs time, not correctness. Thread-safe.
 */
final class KernelCache {
    private static final int MAGIC = 0x53514331;
    private static final int DIGEST_BYTES = 32;

    private final Path folder;

    /** A cache in {@code folder}, or one that keeps nothing when null. */
    KernelCache(Path folder) {
        this.folder = folder;
    }

    /** Name of the file for a compilation. */
    String key(Source source, List<String> options, String compiler) {
        MessageDigest digest = digest();
        add(digest, compiler);
        add(digest, source.name());
        add(digest, source.text());
        options.forEach(o -> add(digest, o));
        source.functions().forEach(f -> add(digest, f));
        new TreeMap<>(source.headers()).forEach((name, text) -> {
            add(digest, name);
            add(digest, text);
        });
        return source.name() + "-" + HexFormat.of().formatHex(digest.digest(), 0, 16) + ".kernel";
    }

    private static void add(MessageDigest digest, String text) {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        digest.update(Integer.toString(bytes.length).getBytes(StandardCharsets.UTF_8));
        digest.update((byte) ':');
        digest.update(bytes);
    }

    private static MessageDigest digest() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }

    /** The image under a key with all of the functions, or null. */
    Nvrtc.Image read(String key, List<String> functions) {
        if (folder == null || !Files.isRegularFile(folder.resolve(key))) {
            return null;
        }
        try {
            byte[] file = Files.readAllBytes(folder.resolve(key));
            if (file.length < DIGEST_BYTES || !Arrays.equals(Arrays.copyOf(file, DIGEST_BYTES), sum(file, DIGEST_BYTES))) {
                return null;
            }
            DataInputStream in = new DataInputStream(new ByteArrayInputStream(file, DIGEST_BYTES, file.length - DIGEST_BYTES));
            if (in.readInt() != MAGIC) {
                return null;
            }
            Map<String, String> names = new LinkedHashMap<>();
            for (int n = in.readInt(); n > 0; n--) {
                names.put(in.readUTF(), in.readUTF());
            }
            return names.keySet().containsAll(functions) ? new Nvrtc.Image(in.readAllBytes(), names) : null;
        } catch (IOException unreadable) {
            return null;
        }
    }

    /** Keeps an image. */
    void write(String key, Nvrtc.Image image) {
        if (folder == null) {
            return;
        }
        try {
            Files.createDirectories(folder);
            Path part = Files.createTempFile(folder, key, ".part");
            try {
                Files.write(part, content(image));
                Files.move(part, folder.resolve(key), StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
            } finally {
                Files.deleteIfExists(part);
            }
        } catch (IOException | UncheckedIOException e) {
            System.getLogger("dev.sequent.backend.cuda").log(System.Logger.Level.WARNING,
                    () -> "Compiled kernels cannot be kept in " + folder + ", so every start compiles them: " + e);
        }
    }

    private static byte[] content(Nvrtc.Image image) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        bytes.write(new byte[DIGEST_BYTES]);
        DataOutputStream out = new DataOutputStream(bytes);
        out.writeInt(MAGIC);
        out.writeInt(image.names().size());
        for (Map.Entry<String, String> name : image.names().entrySet()) {
            out.writeUTF(name.getKey());
            out.writeUTF(name.getValue());
        }
        out.write(image.image());
        byte[] file = bytes.toByteArray();
        System.arraycopy(sum(file, DIGEST_BYTES), 0, file, 0, DIGEST_BYTES);
        return file;
    }

    private static byte[] sum(byte[] file, int from) {
        MessageDigest digest = digest();
        digest.update(file, from, file.length - from);
        return digest.digest();
    }
}
