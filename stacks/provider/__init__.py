"""The native provider `pulumi-resource-jinbao`: hosts, segments and links, made where the target says."""
