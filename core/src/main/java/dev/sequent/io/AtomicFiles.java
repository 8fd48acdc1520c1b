package dev.sequent.io;

import dev.sequent.type.CheckpointException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;

/**
 * Files that are either the old one or the whole new one, whatever happens while they are written: a temporary file in
 * the same directory, flushed to the disk, then renamed over the target, then the directory flushed where the system can.
 */
public final class AtomicFiles {
    private AtomicFiles() {
    }

    /** Writes a file's content to a channel. */
    @FunctionalInterface
    public interface Content {
        /** Writes everything to {@code out}, which stays open. */
        void writeTo(FileChannel out) throws IOException;
    }

    /**
     * Replaces {@code target}. When {@code content} or the disk fails, the target is untouched and the temporary file is gone.
     *
     * @throws CheckpointException when writing fails; exceptions of the content that are unchecked pass through
     */
    public static void write(Path target, Content content) {
        Path absolute = target.toAbsolutePath();
        Path directory = absolute.getParent();
        if (directory == null || !Files.isDirectory(directory) || Files.isDirectory(absolute)) {
            throw new CheckpointException("write", "a file in a directory that exists", describe(target));
        }
        String unique = Long.toHexString(ProcessHandle.current().pid()) + "-" + Long.toHexString(System.nanoTime());
        Path temporary = directory.resolve("." + absolute.getFileName() + "." + unique + ".tmp");
        boolean created = false;
        try {
            try (FileChannel out = FileChannel.open(temporary, StandardOpenOption.WRITE, StandardOpenOption.CREATE_NEW)) {
                created = true;
                content.writeTo(out);
                out.force(true);
            }
            rename(temporary, absolute);
            created = false;
        } catch (IOException e) {
            throw new CheckpointException("[write] expected to write " + target + ", given " + e, e);
        } finally {
            if (created) {
                remove(temporary);
            }
        }
    }

    /** Replaces {@code target} by {@code text} in UTF-8. */
    public static void write(Path target, String text) {
        write(target, out -> writeFully(out, StandardCharsets.UTF_8.encode(text)));
    }

    /**
     * Renames a file or directory in one step and flushes the directory that holds it. A file that has the name {@code target} is replaced.
     *
     * @throws CheckpointException when the file system has no atomic renames
     * @throws IOException when renaming fails, for example because {@code target} is a directory
     */
    public static void rename(Path source, Path target) throws IOException {
        Path absolute = target.toAbsolutePath();
        try {
            Files.move(source, absolute, StandardCopyOption.ATOMIC_MOVE);
        } catch (AtomicMoveNotSupportedException notAtomic) {
            throw new CheckpointException("[write] expected a file system with atomic renames, given " + absolute.getParent(), notAtomic);
        }
        flush(absolute.getParent());
    }

    static void writeFully(FileChannel out, ByteBuffer bytes) throws IOException {
        while (bytes.hasRemaining()) {
            out.write(bytes);
        }
    }

    /** What stands at a path, for messages. */
    static String describe(Path path) {
        if (Files.isDirectory(path)) {
            return "the directory " + path;
        }
        if (Files.notExists(path)) {
            return "the missing " + path;
        }
        return (Files.isRegularFile(path) ? "" : "the special file ") + path;
    }

    private static void flush(Path directory) {
        try (FileChannel channel = FileChannel.open(directory, StandardOpenOption.READ)) {
            channel.force(true);
        } catch (IOException notSupported) {
            // some systems cannot open a directory; the rename itself has already happened
            System.getLogger(AtomicFiles.class.getName())
                    .log(System.Logger.Level.DEBUG, "directory not flushed: {0}", notSupported.toString());
        }
    }

    private static void remove(Path temporary) {
        try {
            Files.deleteIfExists(temporary);
        } catch (IOException e) {
            System.getLogger(AtomicFiles.class.getName()).log(System.Logger.Level.WARNING, "temporary file left behind: {0}", temporary);
        }
    }
}
