// Opens what smime wrote, with Bouncy Castle: for each NAME.p7m in the folder
// that is the first argument, with the key of NAME.p8, writes NAME.out, or a
// line that says why not.
import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.PrivateKey;
import java.security.Security;
import java.security.spec.PKCS8EncodedKeySpec;
import org.bouncycastle.asn1.cms.CMSObjectIdentifiers;
import org.bouncycastle.asn1.cms.ContentInfo;
import org.bouncycastle.cms.CMSAuthEnvelopedData;
import org.bouncycastle.cms.CMSEnvelopedData;
import org.bouncycastle.cms.Recipient;
import org.bouncycastle.cms.RecipientInformation;
import org.bouncycastle.cms.RecipientInformationStore;
import org.bouncycastle.cms.jcajce.JceKeyAgreeEnvelopedRecipient;
import org.bouncycastle.cms.jcajce.JceKeyTransAuthEnvelopedRecipient;
import org.bouncycastle.cms.jcajce.JceKeyTransEnvelopedRecipient;
import org.bouncycastle.jce.provider.BouncyCastleProvider;

public class Open {
    public static void main(String[] args) throws Exception {
        Security.addProvider(new BouncyCastleProvider());
        for (File f : new File(args[0]).listFiles((d, n) -> n.endsWith(".p7m"))) {
            String base = f.getPath().substring(0, f.getPath().length() - 4);
            try {
                Files.write(Path.of(base + ".out"), open(Files.readAllBytes(f.toPath()), Files.readAllBytes(Path.of(base + ".p8"))));
            } catch (Exception e) {
                System.out.println(f.getName() + ": " + e);
            }
        }
    }

    static byte[] open(byte[] cms, byte[] pkcs8) throws Exception {
        PrivateKey key;
        boolean rsa = true;
        try {
            key = KeyFactory.getInstance("RSA", "BC").generatePrivate(new PKCS8EncodedKeySpec(pkcs8));
        } catch (java.security.spec.InvalidKeySpecException e) {
            key = KeyFactory.getInstance("EC", "BC").generatePrivate(new PKCS8EncodedKeySpec(pkcs8));
            rsa = false;
        }
        boolean auth = ContentInfo.getInstance(cms).getContentType().equals(CMSObjectIdentifiers.authEnvelopedData);
        RecipientInformationStore store = auth ? new CMSAuthEnvelopedData(cms).getRecipientInfos() : new CMSEnvelopedData(cms).getRecipientInfos();
        Exception last = new Exception("no recipient");
        for (RecipientInformation info : store.getRecipients()) {
            Recipient r = !rsa ? new JceKeyAgreeEnvelopedRecipient(key).setProvider("BC")
                    : auth ? new JceKeyTransAuthEnvelopedRecipient(key).setProvider("BC")
                    : new JceKeyTransEnvelopedRecipient(key).setProvider("BC");
            try {
                return info.getContent(r);
            } catch (Exception e) {
                last = e;
            }
        }
        throw last;
    }
}
